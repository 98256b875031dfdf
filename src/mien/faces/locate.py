"""Which squares of a picture are worked on: found faces, or what the user says."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mien.errors import InputError
from mien.faces.align import CropFrame, extract, ffhq_frame, frame_from_box, whole_frame
from mien.faces.config import AlignConfig
from mien.faces.detect import choose, find_faces
from mien.media.images import Picture, read_picture


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


def align_faces(
    photo: Picture | str | Path, align: AlignConfig | None = None, *, size: int = 256
) -> list[tuple[CropFrame, Tensor]]:
    """The faces of a photo: where each sits, and its FFHQ crop [3, size, size] in [-1, 1]; the largest first.

    `align` says which faces, or where they are; None takes all. Raises `FaceNotFoundError` where there is none.
    """
    picture = photo if isinstance(photo, Picture) else read_picture(photo)
    rgb = picture.rgb()
    return [(frame, extract(rgb, frame, size)[0]) for frame in locate(rgb, align or AlignConfig())]
