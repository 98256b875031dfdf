"""The networks: tensors in, tensors out, no files, no device choice, no hidden randomness."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.models.model import Model as Model
    from mien.models.model import Provenance as Provenance

__all__ = ["Model", "Provenance"]
__getattr__ = names_from(
    __name__,
    {
        "model": "Model Provenance",
    },
)
