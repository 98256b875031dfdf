"""What the product hands back: faces on their way through, whole photos, inversions."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mien.faces import CropFrame
from mien.media.picture import Picture


@dataclass(frozen=True)
class StylizedFace:
    """One face on its way through: all pictures are [3, R, R] in [-1, 1]."""

    frame: CropFrame
    """Where the face sits in the photo."""
    crop: Tensor
    """The aligned face as the model saw it."""
    inversion: Tensor
    """What the base model makes of it, before any style."""
    stylized: Tensor
    """The same face in the style."""
    scale: float
    """Photo pixels per model pixel: above 1 the face was enlarged to fit the photo."""


@dataclass
class Result:
    """A photo with its faces redrawn."""

    picture: Picture
    faces: list[StylizedFace]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Inversion:
    """What the model makes of a picture."""

    w_plus: Tensor
    """The code, [1, num_ws, w_dim]."""
    detail: Tensor | None
    """What the code cannot say, [1, C, r, r]: see `Codes`."""
    crop: Tensor
    """The aligned picture, [3, R, R]."""
    picture: Tensor
    """The code rendered by the base model, [3, R, R]."""
    frame: CropFrame
