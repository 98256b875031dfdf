"""What the drawing does not cover takes its colors: hair above the crop and below it, the neck, a curl beside the drawn head.

A drawn head ends where its crop does, and hair goes on. So the difference of color between drawing and photo is carried over
to what has the photo's colors there and is not parted from it by an edge (color propagation by optimization: Levin,
Lischinski & Weiss 2004), weaker with the distance; the ground around the head holds its own. The photo's detail stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.align import CropFrame
from mien.faces.crop_reader import CropReader
from mien.faces.guided import along, guided_lines
from mien.faces.warp import Affine, blur, warp
from mien.media.images import ImageData

_WIDER = 1.8  # sides of the crop: the square in which colors are carried on
_SIZE = 144  # its side in pixels, at which that is solved
_EDGE = 0.10  # difference of color in [-1, 1] that parts two neighbours (standard deviation)
_FAR = 0.25  # of the crop's side: how far colors are carried where no edge is
_ROUNDS = 60
_SMOOTH = 0.03  # of the crop's side: detail finer than this is no color
_NOTHING = 1.5 / 255  # in [-1, 1]: smaller shifts are none at all
_MOST = 0.7
_NEAR, _ALIKE = 0.15, 0.15  # of the side, and in [-1, 1]: how near, and how like a color of ground or head
_REACH = 3  # pixels at `_SIZE`: windows in which shift and colors are related
_ROWS_AT_ONCE = 256


def spread_colors(image: ImageData, frame: CropFrame, face: Tensor, drawn: Tensor, head: Tensor) -> ImageData:
    """An image whose hair and skin around a drawn face have that face's colors, ready for `paste_back`.

    `face` [3, s, s] in [-1, 1] is what will be pasted into `frame`, `drawn` [1, s, s] in [0, 1] says where, and `head`
    [1, s, s] where the photo's own head is. Around that the photo is held as it is.
    """
    around = frame.scaled(_WIDER)
    left, top, right, bottom = _window(image, around)
    if left >= right or top >= bottom:
        return image
    window = image.pixels[top:bottom, left:right, : image.colors]
    local = replace(around, center=(around.center[0] - left, around.center[1] - top))
    photo, _ = CropReader(ImageData(window, image.icc)).read(local, _SIZE)
    shift = _carried(photo, face, drawn, head)
    if not bool(shift.abs().amax() > _NOTHING):
        return image

    slopes, offsets = guided_lines(photo, shift, _REACH, tolerance=4e-3)
    lines = torch.cat([slopes.flatten(0, 1), offsets])
    pixels, inside = image.pixels.copy(), local.to_crop(_SIZE)
    own = pixels[top:bottom, left:right, : image.colors]
    for start in range(0, bottom - top, _ROWS_AT_ONCE):
        rows = slice(start, min(bottom - top, start + _ROWS_AT_ONCE))
        here = _read(lines, inside, rows, right - left)
        colors = ImageData(window[rows], image.icc).rgb()
        change = along(colors, here[:9].reshape(3, 3, *here.shape[1:]), here[9:])
        change = change.sign() * (change.abs() - _NOTHING).clamp(0, _MOST)
        changed = image.from_rgb(colors + change)
        touched = (change != 0).any(dim=0).numpy()[..., None]
        own[rows] = np.where(touched, np.rint(changed).astype(own.dtype), own[rows])
    return replace(image, pixels=pixels)


def _window(image: ImageData, frame: CropFrame) -> tuple[int, int, int, int]:
    low, high = frame.corners().amin(dim=0).floor().int().tolist(), frame.corners().amax(dim=0).ceil().int().tolist()
    return max(0, low[0]), max(0, low[1]), min(image.width, high[0]), min(image.height, high[1])


def _read(lines: Tensor, inside: Affine, rows: slice, width: int) -> Tensor:
    """Planes of the solved square [k, n, n] at the pixels of some rows of the window: [k, rows, width]; 0 outside it."""
    x, y = torch.arange(width) + 0.5, torch.arange(rows.start, rows.stop) + 0.5
    u = (inside.a * x + inside.c)[None] + (inside.b * y)[:, None]
    v = (inside.d * x + inside.f)[None] + (inside.e * y)[:, None]
    grid = torch.stack([u, v], dim=-1) * (2 / lines.shape[-1]) - 1
    return F.grid_sample(lines[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def _carried(photo: Tensor, face: Tensor, drawn: Tensor, head: Tensor) -> Tensor:
    """The shift [3, n, n] of the photo's colors [3, n, n], which has the crop in its middle."""
    size, crop = photo.shape[-1], face.shape[-1]
    step = _WIDER * crop / size
    placed = torch.cat([face, drawn, head]).float()
    to_crop = Affine(step, 0.0, (1 - _WIDER) / 2 * crop, 0.0, step, (1 - _WIDER) / 2 * crop)
    line = torch.arange(size) + 0.5
    within = ((line / size - 0.5).abs() < 0.5 / _WIDER).float()
    placed = warp(placed, to_crop, size, size) * (within[None] * within[:, None])
    known, own = placed[3:4].clamp(0, 1), placed[4:5].clamp(0, 1)
    smooth = _SMOOTH * size / _WIDER
    # Well inside both heads, where drawing and photo show the same thing.
    both = _inner(known, smooth / 2) * _inner(own, smooth / 2)
    wanted = blur((placed[:3] - photo) * both, smooth) / (blur(both, smooth) + 1e-4)
    ground = (1 - blur(own, smooth / 2) * 4).clamp(0, 1) * within[None] * within[:, None]
    return _solved(photo, wanted, 2 * both, 4 * torch.maximum(ground, _like_ground(photo, ground, both) * (1 - own)))


def _like_ground(photo: Tensor, ground: Tensor, head: Tensor) -> Tensor:
    """How much rather like the ground than like the head near it the photo's colors are: [1, n, n] in [0, 1]."""
    spread = _NEAR * photo.shape[-1] / _WIDER

    def likeness(where: Tensor) -> Tensor:
        usual = blur(photo * where, spread) + 1e-4 * (photo * where).sum(dim=(1, 2), keepdim=True) / where.sum().clamp(min=1)
        distance = (photo - usual / (blur(where, spread) + 1e-4)).square().sum(dim=0, keepdim=True)
        return torch.exp(-distance / (2 * _ALIKE**2)) + 1e-6

    of_ground, of_head = likeness(ground), likeness(head)
    return (of_ground / (of_ground + of_head)).square()


def _inner(mask: Tensor, width: float) -> Tensor:
    return ((blur(mask, width) - 0.75) * 4).clamp(0, 1)


def _solved(photo: Tensor, wanted: Tensor, hold: Tensor, still: Tensor) -> Tensor:
    """The shift nearest to `wanted` where `hold` says so, to 0 where `still` does, and smooth where the photo is.

    min_s  sum_ij w_ij |s_i - s_j|^2 + sum_i hold_i |s_i - wanted_i|^2 + (still_i + 1 / far^2) |s_i|^2, by conjugate gradients
    (Hestenes & Stiefel 1952).
    """
    down = torch.exp(-(photo[:, 1:] - photo[:, :-1]).square().sum(dim=0, keepdim=True) / (2 * _EDGE**2))
    across = torch.exp(-(photo[:, :, 1:] - photo[:, :, :-1]).square().sum(dim=0, keepdim=True) / (2 * _EDGE**2))
    total = hold + still + (_FAR * photo.shape[-1] / _WIDER) ** -2
    fixed = hold * wanted
    for weights, behind, ahead in ((down, (0, 0, 0, 1), (0, 0, 1, 0)), (across, (0, 1), (1, 0))):
        total = total + F.pad(weights, behind) + F.pad(weights, ahead)
    scale = total.rsqrt()  # unit diagonal: neighbours that an edge parts would slow the search down

    def apply(x: Tensor) -> Tensor:
        y = x * scale
        flow = total * y
        flow[:, :-1] -= down * y[:, 1:]
        flow[:, 1:] -= down * y[:, :-1]
        flow[:, :, :-1] -= across * y[:, :, 1:]
        flow[:, :, 1:] -= across * y[:, :, :-1]
        return flow * scale

    solution = torch.zeros_like(wanted)
    rest = fixed * scale
    direction, length = rest, rest.square().sum()
    for _ in range(_ROUNDS):
        effect = apply(direction)
        step = length / (direction * effect).sum().clamp(min=1e-20)
        solution, rest = solution + step * direction, rest - step * effect
        last, length = length, rest.square().sum()
        direction = rest + (length / last.clamp(min=1e-20)) * direction
    shift: Tensor = solution * scale
    return shift
