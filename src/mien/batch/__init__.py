"""Many photos at once: what is to be made, the work itself, its account, and clusters."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.batch.apply_folder import Batch as Batch
    from mien.batch.config import BatchConfig as BatchConfig

__all__ = ["Batch", "BatchConfig"]
__getattr__ = names_from(
    __name__,
    {
        "apply_folder": "Batch",
        "config": "BatchConfig",
    },
)
