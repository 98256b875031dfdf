"""Settings of a data set: what is cut out of the images, and what of it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mien.errors import InputError
from mien.faces.config import WhichFaces


@dataclass(frozen=True)
class CropConfig:
    """What is cut out of an image, and how it is stored."""

    resolution: Annotated[int, "side of the images that come out"] = 256
    align: Annotated[bool, "look for faces and align them as FFHQ does; else the middle square is taken"] = True
    face: Annotated[WhichFaces, "which faces of an image: all or largest"] = "all"
    blurred_background: Annotated[bool, "blur everything behind head and hair: a small model then need not learn it"] = False
    format: Annotated[Literal["png", "webp", "jpg"], "format of the images; png loses nothing"] = "png"

    def __post_init__(self) -> None:
        if not 8 <= self.resolution <= 4096:
            raise InputError(f"`resolution` must be from 8 to 4096 pixels, got {self.resolution}.")


@dataclass(frozen=True)
class SelectionConfig:
    """What is good enough to be kept."""

    min_side: Annotated[int | None, "pixels of the source that a crop must cover; None: half the resolution"] = None
    min_sharpness: Annotated[
        float, "share of finest detail that a crop must have: 0.3 is usual, blurred ones have 0.05; 0 keeps all"
    ] = 0.07
    alike: Annotated[
        int, "images whose perceptual hashes differ in at most so many of 256 bits are the same; 0 drops equal files only"
    ] = 20

    def __post_init__(self) -> None:
        if not 0 <= self.alike <= 256:
            raise InputError(f"`alike` must be from 0 to 256 bits, got {self.alike}.")
