"""One frame of a clip, and what is known of a clip before its frames are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

MOST_PIXELS = 36_000_000
"""Pixels of a frame: 8K is read."""
MOST_SIDE = 16_384

ANIMATIONS = (".gif", ".webp", ".png", ".apng")
"""Names of animations that are read as images."""


@dataclass(frozen=True)
class Shot:
    """One frame, upright."""

    pixels: NDArray[np.uint8]
    """[H, W, 3], RGB."""
    at: Fraction
    """When it is shown, in seconds."""
    duration: Fraction | None = None
    """How long, in seconds, where that is known."""
    alpha: NDArray[np.uint8] | None = None
    """[H, W]."""
    coded: Any = None
    """The frame as it was decoded (av.VideoFrame), where it is upright as it is."""


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip before its frames are read."""

    width: int
    """Upright, in pixels."""
    height: int
    rate: Fraction
    """Frames per second, on average."""
    step: Fraction
    """Unit of its times in seconds."""
    frames: int = 0
    """How many there are, about; 0 where that is not known."""
    has_alpha: bool = False
    loop: int | None = None
    """How often an animation is repeated, 0 forever; None: it is none."""
    colors: dict[str, int] = field(default_factory=dict)
    """Matrix, range, primaries and transfer of the colors, by their numbers in ITU-T H.273."""
    pixel_aspect: Fraction | None = None
    tags: dict[str, str] = field(default_factory=dict)
    """Title, date and the like; no places."""


def check_size(width: int, height: int, path: Path) -> None:
    """Raise `InputError` for frames that are too large to be decoded."""
    if width < 1 or height < 1:
        raise InputError(f"{path} does not say how large its images are: it is damaged, or no video.")
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise InputError(f"{path} has frames of {width} x {height} pixels, and those of 8K are read at most: make it smaller.")
