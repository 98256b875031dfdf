"""Which squares of a picture are worked on: found faces, or what the user says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from mien.errors import InputError
from mien.faces.align import CropFrame, ffhq_frame, frame_from_box, whole_frame
from mien.faces.detect import choose, find_faces

Purpose = Literal["photo", "reference"]


@dataclass(frozen=True)
class AlignConfig:
    """How faces are found in a picture; by hand at most one of `aligned`, `box` and `landmarks`."""

    face: Annotated[Literal["largest", "all"] | int, "which faces: largest, all, or a number from 1 by size"] = "all"
    aligned: Annotated[bool, "the picture is a face crop already: take all of it"] = False
    box: Annotated[tuple[float, float, float] | None, "the square around the head by hand: x, y, side in pixels"] = None
    landmarks: Annotated[
        tuple[tuple[float, float], ...] | None, "eyes, nose and mouth corners by hand, image left first, in pixels"
    ] = None
    purpose: Annotated[Purpose, "what the picture is for; errors then name the right options"] = "photo"

    def __post_init__(self) -> None:
        given = [n for n, v in (("aligned", self.aligned), ("box", self.box), ("landmarks", self.landmarks)) if v]
        if len(given) > 1:
            raise InputError(f"--{given[0]} and --{given[1]} both say where the face is: give one of them.")


def locate(rgb: Tensor, config: AlignConfig, *, name: str = "the picture") -> list[CropFrame]:
    """The square crops to work on in a picture [3, H, W]; never empty.

    Raises `FaceNotFoundError` (with what to do) when there is no face.
    """
    height, width = rgb.shape[1:]
    if config.aligned:
        return [whole_frame(width, height)]
    if config.box is not None:
        frame = frame_from_box(*config.box)
        half = frame.side / 2
        x, y = frame.centre
        if x + half <= 0 or y + half <= 0 or x - half >= width or y - half >= height:
            raise InputError(f"The box lies outside {name} ({width} x {height} pixels): give x,y,side inside it.")
        return [frame]
    if config.landmarks is not None:
        return [ffhq_frame(torch.tensor(config.landmarks, dtype=torch.float64))]
    return [face.frame() for face in choose(find_faces(rgb), config.face, name=name, purpose=config.purpose)]
