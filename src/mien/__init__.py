"""mien: one-shot face stylization: faces in photos, redrawn in the style of one image.

import mien

mien.stylize("me.jpg", style="ink").save("out.png")

pipe = mien.Stylizer.load()
style = pipe.fit("reference.png")
pipe(style, "me.jpg").save("out.png")

These names are what most programs need. More, and the settings of single parts, are in the subpackages that the API reference
lists, such as `mien.evaluation` and `mien.training`. Names are imported when they are first used, so that `import mien` costs
nothing.
"""

from typing import TYPE_CHECKING

from mien.lazy import names_from, place_of_name

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien import batch as batch
    from mien import checkpoint as checkpoint
    from mien import dataset as dataset
    from mien import editing as editing
    from mien import evaluation as evaluation
    from mien import exporters as exporters
    from mien import faces as faces
    from mien import inversion as inversion
    from mien import mappers as mappers
    from mien import models as models
    from mien import oneshot as oneshot
    from mien import streaming as streaming
    from mien import styles as styles
    from mien import training as training
    from mien import video as video
    from mien import web as web
    from mien.batch.apply_folder import apply_folder as apply_folder
    from mien.checkpoint.conversion import save_model as save_model
    from mien.checkpoint.file_info import inspect_file as inspect_file
    from mien.checkpoint.hub.get import download_model as download_model
    from mien.checkpoint.load import load_model as load_model
    from mien.dataset.prepare import prepare_dataset as prepare_dataset
    from mien.editing.layer_swap import swap_layers as swap_layers
    from mien.errors import MienError as MienError
    from mien.errors import MienWarning as MienWarning
    from mien.evaluation.evaluate import evaluate as evaluate
    from mien.exporters.export_style import export as export
    from mien.faces.config import AlignConfig as AlignConfig
    from mien.faces.locate import align_faces as align_faces
    from mien.faces.results import Result as Result
    from mien.many_styles import style_sheet as style_sheet
    from mien.media.image_input import ImageLike as ImageLike
    from mien.oneshot.config import OneShotConfig as OneShotConfig
    from mien.pipeline import Stylizer as Stylizer
    from mien.render_config import RenderConfig as RenderConfig
    from mien.shortcuts import invert as invert
    from mien.shortcuts import sample as sample
    from mien.shortcuts import stylize as stylize
    from mien.streaming.frame_engine import Stream as Stream
    from mien.styles import Style as Style
    from mien.styles import list_models as list_models
    from mien.styles import list_styles as list_styles
    from mien.training.config import TrainConfig as TrainConfig
    from mien.training.run import train as train
    from mien.video.whole_clip import stylize_video as stylize_video
    from mien.web.server import serve as serve

_MODULES = {
    "batch.apply_folder": "apply_folder",
    "checkpoint.conversion": "save_model",
    "checkpoint.file_info": "inspect_file",
    "checkpoint.hub.get": "download_model",
    "checkpoint.load": "load_model",
    "dataset.prepare": "prepare_dataset",
    "editing.layer_swap": "swap_layers",
    "errors": "MienError MienWarning",
    "evaluation.evaluate": "evaluate",
    "exporters.export_style": "export",
    "faces.config": "AlignConfig",
    "faces.locate": "align_faces",
    "faces.results": "Result",
    "many_styles": "style_sheet",
    "media.image_input": "ImageLike",
    "oneshot.config": "OneShotConfig",
    "pipeline": "Stylizer",
    "render_config": "RenderConfig",
    "shortcuts": "invert sample stylize",
    "streaming.frame_engine": "Stream",
    "styles": "Style list_models list_styles",
    "training.config": "TrainConfig",
    "training.run": "train",
    "video.whole_clip": "stylize_video",
    "web.server": "serve",
}

_PACKAGES = (
    "batch", "checkpoint", "dataset", "editing", "evaluation", "exporters", "faces", "inversion", "mappers", "models",
    "oneshot", "streaming", "styles", "training", "video", "web",
)  # fmt: skip
"""Where everything else that is public lives: what their `__all__` names is documented, and stays."""

# What people call it who come from other programs, or knew mien before 0.1.0.
_ALSO_CALLED = {
    "Pipeline": "mien.Stylizer", "StylizePipeline": "mien.Stylizer", "JoJoGAN": "mien.Stylizer", "load": "mien.Stylizer.load",
    "from_pretrained": "mien.Stylizer.load", "new_session": "mien.Stylizer.load", "fit": "mien.Stylizer.fit",
    "learn": "mien.Stylizer.fit", "finetune": "mien.Stylizer.fit", "apply": "mien.Stylizer.apply",
    "load_style": "mien.Style.load", "project": "mien.invert", "generate": "mien.sample", "detect": "mien.align_faces",
    "inspect": "mien.inspect_file", "available_models": "mien.list_models", "video": "mien.stylize_video",
    "export_style": "mien.export",
}  # fmt: skip

__all__ = sorted(["__version__", *(name for names in _MODULES.values() for name in names.split())])
__getattr__ = names_from(
    __name__, _MODULES, packages=_PACKAGES, hint=lambda name: place_of_name(name, __name__, __all__, _PACKAGES, _ALSO_CALLED)
)


def __dir__() -> list[str]:
    return __all__
