"""Faces on their way through, and the photo that they go back into."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mien.faces.align import CropFrame
from mien.media.picture import Picture

# A picture enlarged more than this is visibly soft: say so.
_SOFT_SCALE = 1.5


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

    def warn_of_enlargement(self, frame: CropFrame, drawn_at: int) -> None:
        """Note it where a face was enlarged so much from the `drawn_at` pixels of the model that it is visibly soft."""
        scale = frame.side / drawn_at
        if scale > _SOFT_SCALE:
            self.warnings.append(f"A face of {frame.side:.0f} px was drawn at {drawn_at} px and enlarged {scale:.1f} times.")
