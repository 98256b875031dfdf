"""JoJoGAN: fine-tuning the generator to one image, or a few."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.oneshot.config import SnapshotConfig as SnapshotConfig

__all__ = ["SnapshotConfig"]
__getattr__ = names_from(
    __name__,
    {
        "config": "SnapshotConfig",
    },
)
