"""What every mapper can do: take the crop of a face in a photo, give the drawn face and where to paste it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mien.latents import Codes


@dataclass(frozen=True)
class Mapped:
    """Faces that were drawn, and what of each crop they are to cover."""

    faces: Tensor
    """[N, 3, S, S] in [-1, 1], in the frame of their crops."""
    masks: Tensor
    """[N, 1, S, S] in [0, 1]: 1 where the face covers the photo."""


@dataclass(frozen=True)
class Seen:
    """What a mapper sees in crops of photos: all that it needs to draw."""

    codes: Codes
    heads: Tensor
    """[N, 1, m, m] in [0, 1]: where head, hair and neck are in the crops."""


class Mapper(Protocol):
    """From crops of photos to drawn faces, frame by frame.

    Crops are [N, 3, S, S] in [-1, 1] and aligned as in FFHQ; S is `size`. `strength` 0 draws the base model's own face, 1 the
    full style. `fidelity` is the weight of the feature code, 0 to 1; None: the style's own.
    """

    size: int

    def __call__(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """What `draw` makes of the codes that `encode` finds."""

    def encode(self, crops: Tensor) -> Seen:
        """Codes and heads of crops as photos show them; a stream may smooth the codes in time before it draws."""

    def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """Faces with these codes, to be pasted over the crops that have these heads."""
