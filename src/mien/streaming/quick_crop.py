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
from mien.faces.warp import Affine
from mien.media.eight_bit import HALF_RANGE, from_uint8

Frame = NDArray[np.uint8]
"""[H, W, 3], sRGB."""

_FINE = 1.25  # pixels of the frame per pixel of a crop up to which plain interpolation loses nothing
_NOTHING = 1 / 512  # paint and cover below it are none at all
_EDGE = 0.07  # of the side: over how much the mask fades towards an edge of the crop beyond which the frame goes on


def quick_crops(frame: Frame, squares: Sequence[CropFrame], size: int, *, gray: bool = False) -> Tensor:
    """Crops [N, 3, size, size] in [-1, 1] of a frame; beyond its border the frame continues as its mirror image.

    `gray`: the mean of the channels alone, [N, 1, size, size].
    """
    return torch.stack([_crop(frame, square, size, gray) for square in squares])


def _crop(frame: Frame, square: CropFrame, size: int, gray: bool) -> Tensor:
    left, top, right, bottom = window(frame, square, margin=2 + 2 * square.side / size)
    part = torch.from_numpy(frame[top:bottom, left:right].copy()).permute(2, 0, 1).contiguous().float()
    if gray:
        part = (part[:1] + part[1:2] + part[2:]) / 3
    step = square.side / size
    factor = min(max(1, int(step)), part.shape[1], part.shape[2])
    if factor > 1:
        part = F.avg_pool2d(part, factor)
    shift = 0.0
    if step / factor > _FINE and min(part.shape[1:]) > 1:  # else detail finer than the crop's pixels would shimmer
        part = (part[:, :-1, :-1] + part[:, 1:, :-1] + part[:, :-1, 1:] + part[:, 1:, 1:]) / 4
        shift = factor / 2
    place = torch.arange(size) + 0.5
    origin, seen = (left + shift, top + shift), (factor * part.shape[2], factor * part.shape[1])
    grid = _grid(square.to_photo(size), place, place, origin, seen)
    # Reflection is several times as slow as clamping, and the same wherever the crop lies within the frame.
    padding = "border" if _is_within(grid) else "reflection"
    return from_uint8(F.grid_sample(part[None], grid, mode="bilinear", padding_mode=padding, align_corners=False)[0])


def _is_within(grid: Tensor) -> bool:
    """Whether all of a grid lies within its image: as it is a parallelogram, whether its corners do."""
    return bool(grid[0, :: grid.shape[1] - 1 or 1, :: grid.shape[2] - 1 or 1].abs().amax() < 1)


def _grid(map_: Affine, x: Tensor, y: Tensor, origin: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Where `map_` leads from places (x, y), as `grid_sample` wants it for an image of that size that begins at `origin`."""
    wide, high = 2 / size[0], 2 / size[1]
    grid = x.new_empty(1, len(y), len(x), 2)
    torch.add(x * (map_.a * wide) + ((map_.c - origin[0]) * wide - 1), (y * (map_.b * wide))[:, None], out=grid[0, ..., 0])
    torch.add(x * (map_.d * high) + ((map_.f - origin[1]) * high - 1), (y * (map_.e * high))[:, None], out=grid[0, ..., 1])
    return grid


def window(frame: Frame, square: CropFrame, margin: float = 0.0) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a frame in which a square lies; at least a pixel, at the nearest border."""
    height, width = frame.shape[:2]
    (ax, ay), half = square.x_axis, square.side / 2
    reach = half * (abs(ax) + abs(ay)) + margin
    x, y = square.center
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
    x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
    grid = _grid(square.to_crop(size), x, y, (0.0, 0.0), (size, size))
    read = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    if not _is_within(grid):
        read *= grid[0].abs().amax(dim=-1) < 1
    own = frame[top:bottom, left:right]
    # In steps of 8 bits: (f * (1 - c) + p + 1) * 127.5 is F * (1 - c) + (p + c) * 127.5.
    photo = torch.from_numpy(own).permute(2, 0, 1).contiguous().float()
    mixed = photo.mul_(1 - read[3]).add_((read[:3] + read[3]).mul_(HALF_RANGE))
    own[:] = mixed.add_(0.5).clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


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
