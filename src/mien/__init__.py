"""mien: make anybody's face look like one image.

import mien

mien.stylize("me.jpg", style="ink").save("out.png")

pipe = mien.Stylizer.load()
style = pipe.fit("reference.png")
pipe(style, "me.jpg").save("out.png")

Names are imported when they are first used, so that `import mien` costs nothing.
"""

from typing import TYPE_CHECKING

from mien.lazy import names_from

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien.batch.apply_folder import apply_folder as apply_folder
    from mien.batch.config import BatchConfig as BatchConfig
    from mien.checkpoint.convert import convert as convert
    from mien.checkpoint.convert import save_model as save_model
    from mien.checkpoint.file_info import inspect_file as inspect_file
    from mien.checkpoint.hub.get import download_model as download_model
    from mien.checkpoint.load import load_model as load_model
    from mien.dataset.config import CropConfig as CropConfig
    from mien.dataset.config import SelectionConfig as SelectionConfig
    from mien.dataset.prepare import prepare_dataset as prepare_dataset
    from mien.editing.config import Strength as Strength
    from mien.editing.layer_swap import swap_layers as swap_layers
    from mien.errors import MienError as MienError
    from mien.errors import MienWarning as MienWarning
    from mien.evaluation.benchmark import measure_speed as measure_speed
    from mien.evaluation.config import EvaluateConfig as EvaluateConfig
    from mien.evaluation.evaluate import evaluate as evaluate
    from mien.evaluation.mask_effects import draw_masks as draw_masks
    from mien.evaluation.model_report.whole_report import report_on as report_on
    from mien.evaluation.preference_study import lay_out_study as lay_out_study
    from mien.evaluation.votes import count_votes as count_votes
    from mien.evaluation.whole_sweep import sweep as sweep
    from mien.export.export_style import export_style as export_style
    from mien.export.export_web import export_web as export_web
    from mien.faces.config import AlignConfig as AlignConfig
    from mien.faces.locate import align_faces as align_faces
    from mien.faces.numbered import number_faces as number_faces
    from mien.faces.results import Result as Result
    from mien.file_preview import preview as preview
    from mien.inversion.config import InvertConfig as InvertConfig
    from mien.many_styles import style_sheet as style_sheet
    from mien.mappers.generator_mapper import GeneratorMapper as GeneratorMapper
    from mien.mappers.interface import Mapped as Mapped
    from mien.mappers.interface import Mapper as Mapper
    from mien.media.image_input import ImageLike as ImageLike
    from mien.models.model import Model as Model
    from mien.oneshot.config import OneShotConfig as OneShotConfig
    from mien.oneshot.config import SnapshotConfig as SnapshotConfig
    from mien.pipeline import Stylizer as Stylizer
    from mien.render_config import RenderConfig as RenderConfig
    from mien.shortcuts import invert as invert
    from mien.shortcuts import sample as sample
    from mien.shortcuts import stylize as stylize
    from mien.streaming.config import StreamConfig as StreamConfig
    from mien.streaming.frame_engine import Stream as Stream
    from mien.styles import Style as Style
    from mien.styles import list_models as list_models
    from mien.styles import list_styles as list_styles
    from mien.styles import ready_styles as ready_styles
    from mien.training.config import TrainConfig as TrainConfig
    from mien.training.run import train as train
    from mien.training.speed import measure_training as measure_training
    from mien.training.speed import time_filters as time_filters
    from mien.video.config import VideoConfig as VideoConfig
    from mien.video.whole_clip import stylize_video as stylize_video
    from mien.web.config import ServeConfig as ServeConfig
    from mien.web.server import serve as serve

_MODULES = {
    "batch.apply_folder": "apply_folder",
    "batch.config": "BatchConfig",
    "checkpoint.convert": "convert save_model",
    "checkpoint.file_info": "inspect_file",
    "checkpoint.hub.get": "download_model",
    "checkpoint.load": "load_model",
    "dataset.config": "CropConfig SelectionConfig",
    "dataset.prepare": "prepare_dataset",
    "editing.config": "Strength",
    "editing.layer_swap": "swap_layers",
    "errors": "MienError MienWarning",
    "evaluation.benchmark": "measure_speed",
    "evaluation.config": "EvaluateConfig",
    "evaluation.evaluate": "evaluate",
    "evaluation.mask_effects": "draw_masks",
    "evaluation.model_report.whole_report": "report_on",
    "evaluation.preference_study": "lay_out_study",
    "evaluation.votes": "count_votes",
    "evaluation.whole_sweep": "sweep",
    "export.export_style": "export_style",
    "export.export_web": "export_web",
    "faces.config": "AlignConfig",
    "faces.locate": "align_faces",
    "faces.numbered": "number_faces",
    "faces.results": "Result",
    "inversion.config": "InvertConfig",
    "mappers.generator_mapper": "GeneratorMapper",
    "mappers.interface": "Mapped Mapper",
    "media.image_input": "ImageLike",
    "models.model": "Model",
    "oneshot.config": "OneShotConfig SnapshotConfig",
    "pipeline": "Stylizer",
    "file_preview": "preview",
    "render_config": "RenderConfig",
    "shortcuts": "invert sample stylize",
    "many_styles": "style_sheet",
    "streaming.config": "StreamConfig",
    "streaming.frame_engine": "Stream",
    "styles": "Style list_models list_styles ready_styles",
    "training.config": "TrainConfig",
    "training.run": "train",
    "training.speed": "measure_training time_filters",
    "video.config": "VideoConfig",
    "video.whole_clip": "stylize_video",
    "web.config": "ServeConfig",
    "web.server": "serve",
}

__all__ = sorted(["__version__", *(name for names in _MODULES.values() for name in names.split())])
__getattr__ = names_from(
    __name__, _MODULES, ": begin with mien.stylize(photo, reference) or mien.Stylizer.load(); dir(mien) has all names"
)


def __dir__() -> list[str]:
    return __all__
