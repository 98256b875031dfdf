"""Settings of a stream of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mien.errors import InputError
from mien.faces.config import WhichFaces

Faces = WhichFaces | int


@dataclass(frozen=True)
class StreamConfig:
    """How faces are followed through frames. What they are drawn like is in `RenderConfig`."""

    face: Annotated[
        Faces, "which people: all, largest, or a number; people are numbered from 1 as they appear, within a frame by size"
    ] = "all"
    steadiness: Annotated[
        float,
        "smoothing over time, 0 to 1: 0 draws every frame on its own, higher values flicker less but follow "
        "small changes of expression later",
    ] = 0.8
    draw_every: Annotated[
        int,
        "draw each face every N frames and only move it in between: 2 is nearly twice as fast, and "
        "expressions follow a frame later",
    ] = 1
    detect_every: Annotated[int, "look for new faces every N frames; in between, known faces are tracked"] = 10
    detect_side: Annotated[
        int, "longer side in pixels at which new faces are searched for; faces need a sixth of it, and larger is slower"
    ] = 480
    most_faces: Annotated[int, "maximum number of faces drawn, the largest first"] = 8

    def __post_init__(self) -> None:
        if isinstance(self.face, int) and not 1 <= self.face <= 1000:
            raise InputError(f"`face` is all, largest or a number from 1, got {self.face}.")
        if not 0 <= self.steadiness <= 1:
            raise InputError(f"`steadiness` is a number from 0 to 1, got {self.steadiness:g}.")
        for name in ("draw_every", "detect_every", "most_faces"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` is at least 1, got {getattr(self, name)}.")
        if not 80 <= self.detect_side <= 4000:
            raise InputError(f"`detect_side` is from 80 to 4000 pixels, got {self.detect_side}.")
