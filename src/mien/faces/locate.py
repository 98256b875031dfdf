"""Which squares of a picture are worked on: found faces, or what the user says."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from mien.errors import InputError
from mien.faces.align import CropFrame, extract, ffhq_frame, frame_from_box, whole_frame
from mien.faces.config import AlignConfig
from mien.faces.detect import choose, find_faces
from mien.media.images import Picture, opened

_AT_ONCE = 24_000_000  # pixels that are worked on as float32; of a larger picture there is a smaller copy
_LARGEST = 20  # sides of a crop by hand, in units of the picture's longer side
_ENOUGH = 2  # pixels of the smaller copy per pixel of the crop with which the crop is read from it


def locate(rgb: Tensor, config: AlignConfig, *, name: str = "the picture") -> list[CropFrame]:
    """The square crops to work on in a picture [3, H, W]; never empty.

    Raises `FaceNotFoundError` (with what to do) when there is no face.
    """
    height, width = rgb.shape[1:]
    return _by_hand(width, height, config, name) or _found(rgb, config, name)


def cut_out(picture: Picture, config: AlignConfig, size: int) -> list[tuple[CropFrame, Tensor, Tensor]]:
    """The crops to work on in a picture: where each sits, its pixels [3, size, size], and how much of each is of the picture.

    As `locate` and `extract`. Of a large picture no copy of full size is made: so it needs little more than its own memory.
    """
    name = str(picture.path or "the picture")
    factor = math.ceil(math.sqrt(picture.width * picture.height / _AT_ONCE))
    rgb = picture.rgb() if factor == 1 else picture.rgb_reduced(factor)
    frames = _by_hand(picture.width, picture.height, config, name)
    frames = frames or [_times(frame, factor) for frame in _found(rgb, config, name)]
    if factor == 1:
        return [(frame, *extract(rgb, frame, size)) for frame in frames]
    return [(frame, *_extract_of_large(picture, rgb, factor, frame, size)) for frame in frames]


def _extract_of_large(picture: Picture, small: Tensor, factor: int, frame: CropFrame, size: int) -> tuple[Tensor, Tensor]:
    if frame.side / factor >= _ENOUGH * size:
        return extract(small, _times(frame, 1 / factor), size)
    corners = frame.corners()
    low, high = corners.amin(dim=0).tolist(), corners.amax(dim=0).tolist()
    # As far as the crop reaches beyond the picture, its mirror image is seen: that much more is needed inside.
    beyond = max(0.0, -min(low), high[0] - picture.width, high[1] - picture.height)
    margin = beyond + 32 + 8 * frame.side / size
    left, top = (max(0, math.floor(v - margin)) for v in low)
    right, bottom = (math.ceil(v + margin) for v in high)
    part = picture.part(left, top, right, bottom)
    moved = CropFrame((frame.centre[0] - left, frame.centre[1] - top), frame.side, frame.angle)
    return extract(part.rgb(), moved, size)


def _times(frame: CropFrame, factor: float) -> CropFrame:
    """The same crop in coordinates that are `factor` times as large."""
    return CropFrame((frame.centre[0] * factor, frame.centre[1] * factor), frame.side * factor, frame.angle)


def _by_hand(width: int, height: int, config: AlignConfig, name: str) -> list[CropFrame]:
    """The crop that the user gave, or nothing; raises `InputError` for one that has nothing to do with the picture."""
    if config.aligned:
        return [whole_frame(width, height)]
    if config.box is not None:
        frame, what = frame_from_box(*config.box), "The box lies"
    elif config.landmarks is not None:
        frame, what = ffhq_frame(torch.tensor(config.landmarks, dtype=torch.float64)), "The landmarks lie"
    else:
        return []
    half = frame.side * math.sqrt(0.5) if frame.angle else frame.side / 2
    x, y = frame.centre
    if x + half <= 0 or y + half <= 0 or x - half >= width or y - half >= height:
        raise InputError(f"{what} outside {name} ({width} x {height} pixels): give pixels inside it.")
    if frame.side > _LARGEST * max(width, height):
        raise InputError(
            f"{what} far beyond {name} ({width} x {height} pixels), whose crop would be {frame.side:.0f} pixels wide: "
            "give pixels of this picture."
        )
    return [frame]


def _found(rgb: Tensor, config: AlignConfig, name: str) -> list[CropFrame]:
    return [face.frame() for face in choose(find_faces(rgb), config.face, name=name, purpose=config.purpose)]


def align_faces(
    photo: Picture | str | Path, align: AlignConfig | None = None, *, size: int = 256
) -> list[tuple[CropFrame, Tensor]]:
    """The faces of a photo: where each sits, and its FFHQ crop [3, size, size] in [-1, 1]; the largest first.

    `align` says which faces, or where they are; None takes all. Raises `FaceNotFoundError` where there is none.
    """
    return [(frame, crop) for frame, crop, _ in cut_out(opened(photo), align or AlignConfig(), size)]
