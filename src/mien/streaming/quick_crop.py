"""Crops of faces read from frames, and drawn faces put back: as `extract` and `paste_back` do, at the cost of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.faces.align import CropFrame
from mien.media.eight_bit import from_uint8, to_uint8

Frame = NDArray[np.uint8]
"""[H, W, 3], sRGB."""

_FINE = 1.25  # pixels of the frame per pixel of a crop up to which plain interpolation loses nothing
_NOTHING = 1 / 512  # paint and cover below it are none at all
_EDGE = 0.07  # of the side: over how much the mask fades towards an edge of the crop beyond which the frame goes on


def quick_crops(frame: Frame, squares: Sequence[CropFrame], size: int) -> Tensor:
    """Crops [N, 3, size, size] in [-1, 1] of a frame; beyond its border the frame continues as its mirror image."""
    return torch.stack([_crop(frame, square, size) for square in squares])


def _crop(frame: Frame, square: CropFrame, size: int) -> Tensor:
    left, top, right, bottom = window(frame, square, margin=2 + 2 * square.side / size)
    part = from_uint8(torch.from_numpy(frame[top:bottom, left:right].copy()).permute(2, 0, 1))
    step = square.side / size
    factor = min(max(1, int(step / 2)), part.shape[1], part.shape[2])
    if factor > 1:
        part = F.avg_pool2d(part, factor)
    # Where pixels of what is left are smaller than the crop's, several readings are averaged: else detail would shimmer.
    dense = math.ceil(step / factor / _FINE)
    map_ = square.to_photo(size * dense)
    x = torch.arange(size * dense, dtype=torch.float64) + 0.5
    u = ((map_.a * x + map_.c - left)[None] + (map_.b * x)[:, None]) / (factor * part.shape[2])
    v = ((map_.d * x + map_.f - top)[None] + (map_.e * x)[:, None]) / (factor * part.shape[1])
    grid = torch.stack([u, v], dim=-1).mul_(2).sub_(1).float()
    read = F.grid_sample(part[None], grid[None], mode="bilinear", padding_mode="reflection", align_corners=False)
    return (F.avg_pool2d(read, dense) if dense > 1 else read)[0]


def window(frame: Frame, square: CropFrame, margin: float = 0.0) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a frame in which a square lies; at least a pixel, at the nearest border."""
    height, width = frame.shape[:2]
    (ax, ay), half = square.x_axis, square.side / 2
    reach = half * (abs(ax) + abs(ay)) + margin
    x, y = square.centre
    left = min(max(0, math.floor(x - reach)), width - 1)
    top = min(max(0, math.floor(y - reach)), height - 1)
    return left, top, max(left + 1, min(width, math.ceil(x + reach))), max(top + 1, min(height, math.ceil(y + reach)))


def quick_paste(frame: Frame, square: CropFrame, paint: Tensor, cover: Tensor) -> None:
    """Put paint over a frame, in place: in [-1, 1], frame * (1 - cover) + paint, with paint [3, s, s] and cover [1, s, s].

    A face under a mask is `face * mask` and `mask`. Where both are 0 the frame stays as it is, bit for bit.
    `mien.faces.paste.paste_back` is the reference: it loses no detail.
    """
    left, top, right, bottom = _reached(frame, square, torch.maximum(cover[0], paint.abs().amax(dim=0)) > _NOTHING)
    if left >= right or top >= bottom:
        return
    planes, size = torch.cat([paint, cover])[None].float(), paint.shape[-1]
    if square.side < size:
        size = max(1, round(square.side))
        planes = F.interpolate(planes, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    map_ = square.to_crop(size)
    x, y = torch.arange(left, right, dtype=torch.float64) + 0.5, torch.arange(top, bottom, dtype=torch.float64) + 0.5
    u = (map_.a * x + map_.c)[None] + (map_.b * y)[:, None]
    v = (map_.d * x + map_.f)[None] + (map_.e * y)[:, None]
    grid = torch.stack([u, v], dim=-1).mul_(2 / size).sub_(1).float()
    read = F.grid_sample(planes, grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    read *= (grid.abs() < 1).all(dim=-1)
    own = frame[top:bottom, left:right]
    photo = from_uint8(torch.from_numpy(own).permute(2, 0, 1))
    own[:] = to_uint8(photo.mul_(1 - read[3]).add_(read[:3])).permute(1, 2, 0).numpy()


def _reached(frame: Frame, square: CropFrame, there: Tensor) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a frame that is reached by what is `there` [s, s], a pixel of it wider."""
    columns, rows = there.any(dim=0).nonzero().flatten(), there.any(dim=1).nonzero().flatten()
    if not len(columns):
        return 0, 0, 0, 0
    ends = [(int(line[0]) - 1, int(line[-1]) + 2) for line in (columns, rows)]
    corners = torch.tensor([[x, y] for x in ends[0] for y in ends[1]], dtype=torch.float64)
    corners = square.to_photo(there.shape[-1])(corners)
    (low_x, low_y), (high_x, high_y) = corners.amin(dim=0).tolist(), corners.amax(dim=0).tolist()
    left, top, right, bottom = window(frame, square)
    return (
        max(left, math.floor(low_x)),
        max(top, math.floor(low_y)),
        min(right, math.ceil(high_x)),
        min(bottom, math.ceil(high_y)),
    )


def fading_edges(mask: Tensor, square: CropFrame, width: int, height: int) -> Tensor:
    """The mask [1, s, s] faded towards those edges of the crop beyond which the frame of that size goes on."""
    size = mask.shape[-1]
    corners = square.corners().tolist()
    near = ((torch.arange(size) + 0.5) / size / _EDGE).clamp(max=1)
    near = near * near * (3 - 2 * near)
    far = near.flip(0)
    for one, other, share in ((0, 3, near[None]), (0, 1, near[:, None]), (1, 2, far[None]), (2, 3, far[:, None])):
        if not all(_at_border(corners[index], width, height) for index in (one, other)):
            mask = mask * share
    return mask


def _at_border(corner: Sequence[float], width: int, height: int) -> bool:
    x, y = corner
    return x < 1.5 or y < 1.5 or x > width - 1.5 or y > height - 1.5
