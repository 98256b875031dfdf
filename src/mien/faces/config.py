"""Settings that say where the faces of an image are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from mien.errors import InputError

Upscale = Literal["auto", "none"] | float
"""How a face that is smaller than its place in the photo is enlarged: see `RenderConfig`."""
Surroundings = float | Literal["auto"]
"""How far the rest of the photo takes the colors of the style: see `RenderConfig`."""
WhichFaces = Literal["all", "largest"]


@dataclass(frozen=True)
class AlignConfig:
    """How faces are found in an image; at most one of `aligned`, `box` and `landmarks` is given by hand."""

    face: Annotated[
        Literal["auto", "largest", "all"] | int,
        "which faces: largest, all, or a number (1 is the largest); auto: all in a photo, the largest in a reference",
    ] = "auto"
    aligned: Annotated[bool, "the image is already a face crop: use all of it"] = False
    box: Annotated[tuple[float, float, float] | None, "the square around the head: x, y, side in pixels"] = None
    landmarks: Annotated[tuple[tuple[float, float], ...] | None, "eyes, nose and mouth corners in pixels, image left first"] = (
        None
    )

    def one(self) -> AlignConfig:
        """The same, but with the largest face where it does not say which."""
        return replace(self, face="largest") if self.face == "auto" else self

    def __post_init__(self) -> None:
        given = [n for n, v in (("aligned", self.aligned), ("box", self.box), ("landmarks", self.landmarks)) if v]
        if len(given) > 1:
            raise InputError(f"`{given[0]}` and `{given[1]}` both say where the face is: give one of them.")
