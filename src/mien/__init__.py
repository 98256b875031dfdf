"""mien: make anybody's face look like one picture.

import mien
stylizer = mien.Stylizer.load()
style = stylizer.fit(["reference.png"])
mien.write_picture("out.png", stylizer.apply(style, "me.jpg").picture)

Names are imported when they are first used, so that `import mien` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien.checkpoint import load_model as load_model
    from mien.checkpoint import save_model as save_model
    from mien.checkpoint.style_file import Style as Style
    from mien.editing.config import Strength as Strength
    from mien.errors import MienError as MienError
    from mien.faces.config import AlignConfig as AlignConfig
    from mien.faces.locate import align_faces as align_faces
    from mien.inversion.config import InvertConfig as InvertConfig
    from mien.inversion.config import RefineConfig as RefineConfig
    from mien.media.images import Picture as Picture
    from mien.media.images import from_tensor as from_tensor
    from mien.media.images import read_picture as read_picture
    from mien.media.images import write_picture as write_picture
    from mien.oneshot.config import OneShotConfig as OneShotConfig
    from mien.oneshot.config import SnapshotConfig as SnapshotConfig
    from mien.pipeline import Stylizer as Stylizer
    from mien.pipeline import invert as invert
    from mien.render_config import RenderConfig as RenderConfig
    from mien.styles import ready_styles as ready_styles

# Public name -> the module where it is.
_PUBLIC = {
    "AlignConfig": "mien.faces.config",
    "InvertConfig": "mien.inversion.config",
    "OneShotConfig": "mien.oneshot.config",
    "SnapshotConfig": "mien.oneshot.config",
    "MienError": "mien.errors",
    "Picture": "mien.media.images",
    "RefineConfig": "mien.inversion.config",
    "RenderConfig": "mien.render_config",
    "Strength": "mien.editing.config",
    "Style": "mien.checkpoint.style_file",
    "Stylizer": "mien.pipeline",
    "align_faces": "mien.faces.locate",
    "from_tensor": "mien.media.images",
    "invert": "mien.pipeline",
    "load_model": "mien.checkpoint",
    "read_picture": "mien.media.images",
    "ready_styles": "mien.styles",
    "save_model": "mien.checkpoint",
    "write_picture": "mien.media.images",
}

__all__ = [
    "AlignConfig",
    "InvertConfig",
    "MienError",
    "OneShotConfig",
    "Picture",
    "RefineConfig",
    "RenderConfig",
    "SnapshotConfig",
    "Strength",
    "Style",
    "Stylizer",
    "__version__",
    "align_faces",
    "from_tensor",
    "invert",
    "load_model",
    "read_picture",
    "ready_styles",
    "save_model",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
