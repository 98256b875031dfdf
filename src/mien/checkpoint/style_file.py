"""Style files: what fine-tuning changed in the generator, in half precision, with all that is needed to use it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint import native
from mien.checkpoint.soundness import check_finite
from mien.errors import CheckpointError, InputError, ModelMismatchError
from mien.latents import USUAL_FIDELITY
from mien.media.eight_bit import from_uint8, to_uint8

KIND = "style"
_PART, _CODES = "synthesis", "reference_codes"
_SIDE = 96
Kind = TypeVar("Kind", bound="StyleFile")
_MOST_SIDE, _MOST_REFERENCES, _LONGEST_NAME = 1024, 8, 200


def _is_row_of_squares(thumbnail: Tensor) -> bool:
    if thumbnail.ndim != 3 or len(thumbnail) != 3 or not 1 <= thumbnail.shape[1] <= _MOST_SIDE:
        return False
    count, rest = divmod(thumbnail.shape[2], thumbnail.shape[1])
    return rest == 0 and 1 <= count <= _MOST_REFERENCES


def thumbnail(images: Tensor) -> Tensor:
    """The first eight of [N, 3, R, R] in [-1, 1] side by side, [3, 96, 96 * N] uint8."""
    first = images[:_MOST_REFERENCES].cpu()
    small = F.interpolate(first, (_SIDE, _SIDE), mode="bicubic", antialias=True, align_corners=False)
    row = torch.cat(list(small), dim=2)
    return to_uint8(row)


@dataclass(repr=False)
class StyleFile:
    """What a style file holds: the mapper from any face to the look of its references."""

    name: str
    """What the user calls it."""
    base: str
    """Digest of the generator it belongs to (`Provenance.digest`)."""
    resolution: int
    """Side of that generator's images in pixels."""
    deltas: dict[str, Tensor]
    """{parameter of the synthesis network: difference to the base model}, float16."""
    thumbnail: Tensor
    """The aligned reference (several: side by side), [3, H, W] uint8."""
    settings: dict[str, Any] = field(default_factory=dict)
    """How it was made: the fit's configuration, references, losses."""
    reference_codes: Tensor | None = None
    """W+ codes of the references [N, num_ws, w_dim], float16; None for files of before 0.1.0, and for tuned models."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.resolution} px)"

    def check_base(self, digest: str) -> None:
        """Raise `ModelMismatchError` unless `digest` is the base model's."""
        if digest != self.base:
            raise ModelMismatchError(
                f"The style {self.name!r} was learned on another base model ({self.base}, this one is {digest}): "
                "give its own model with `model`, or learn the style again with `mien fit`."
            )

    @property
    def of_images(self) -> bool:
        """Whether it was learned from images; otherwise it is a model that was fine-tuned on a data set."""
        return "references" in self.settings

    @property
    def fidelity(self) -> float:
        """The default weight of the feature code: 0 where a whole data set moved the features that it is added to."""
        return USUAL_FIDELITY if self.of_images else 0.0

    def references(self) -> Tensor:
        """The aligned references (the first eight), [N, 3, H, H] in [-1, 1], as small as the thumbnail is."""
        return from_uint8(torch.stack(torch.split(self.thumbnail, self.thumbnail.shape[1], dim=2)))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the style to `path`; an existing file is kept unless `overwrite`."""
        path = Path(path)
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")
        tensors = {f"{_PART}.{name}": delta for name, delta in self.deltas.items()} | {"thumbnail": self.thumbnail}
        if self.reference_codes is not None:
            tensors[_CODES] = self.reference_codes.half()
        document = {"name": self.name, "base": self.base, "resolution": self.resolution, "settings": self.settings}
        native.write(path, KIND, tensors, document)

    @classmethod
    def read(cls: type[Kind], path: str | Path) -> Kind:
        """Read a style file; raises `CheckpointError` when it is not one."""
        path = Path(path)
        tensors, document = native.read(path)
        if document["kind"] != KIND:
            raise CheckpointError(f"{path} is a {document['kind']} of mien, not a style: see `mien inspect {path}`.")
        try:
            thumbnail = tensors.pop("thumbnail")
            codes = tensors.pop(_CODES, None)
            deltas = {name.removeprefix(f"{_PART}."): delta for name, delta in tensors.items()}
            name, base, resolution, settings = (document[key] for key in ("name", "base", "resolution", "settings"))
        except KeyError as error:
            raise CheckpointError(f"{path} is a damaged style file (no {error}): get it again.") from error
        if thumbnail.dtype != torch.uint8 or any(delta.dtype != torch.float16 for delta in deltas.values()):
            raise CheckpointError(f"{path} is a damaged style file (unexpected number types): get it again.")
        if codes is not None and (codes.ndim != 3 or codes.dtype != torch.float16):
            raise CheckpointError(f"{path} is a damaged style file (unexpected codes): get it again.")
        check_finite(deltas if codes is None else deltas | {_CODES: codes}, f"The style in {path}")
        texts = isinstance(name, str) and name.isprintable() and isinstance(base, str) and base.isprintable()
        values = texts and type(resolution) is int and isinstance(settings, dict)
        if not values or len(name) > _LONGEST_NAME or not _is_row_of_squares(thumbnail):
            raise CheckpointError(f"{path} is a damaged style file (unexpected values): get it again.")
        return cls(name, base, resolution, deltas, thumbnail, settings, codes)
