"""Training data from images as they come: cropped, sorted out, written as a folder or a zip that `mien train` reads."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.dataset.config import CropConfig as CropConfig
    from mien.dataset.config import SelectionConfig as SelectionConfig
    from mien.dataset.prepare import Preparation as Preparation

__all__ = ["CropConfig", "Preparation", "SelectionConfig"]
__getattr__ = names_from(
    __name__,
    {
        "config": "CropConfig SelectionConfig",
        "prepare": "Preparation",
    },
)
