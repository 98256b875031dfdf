"""The way back: a square face returns to its place in the full-resolution photo.

The face is warped into the photo's own pixels, shifted in color towards the photo along the border of its mask, and mixed in.
Outside the mask the photo's pixels stay as they are, bit for bit; so do its alpha, depth and profile.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.align import CropFrame, distance_outside
from mien.faces.crop_reader import AT_ONCE, CropReader
from mien.faces.head_mask import head_mask
from mien.faces.warp import Affine, blur, warp
from mien.media.images import ImageData

__all__ = ["enlargement", "head_mask", "paste_back"]

_EDGE = 0.07  # of the side: over how much the mask fades towards an edge of the crop beyond which the photo goes on
_MATCH_SIZE = 128  # side in pixels at which colors are compared
_MATCH_REACH = 0.05  # of the side: how far into the mask the colors of its border are felt (standard deviation)
_MATCH_LIKENESS = 0.35  # how far from the border's color (in [-1, 1]) a shift still acts (standard deviation)
_MATCH_MOST = 0.5  # of the range [-1, 1]: the largest shift of a color
_FAITHFUL_BELOW = 1.5  # enlargement from which detail of single pixels is not there to be kept
_FAITHFUL_ROUNDS = 4
_ROWS_AT_ONCE = 256
_NOTHING = 1 / 512  # mask values below are none at all


def enlargement(frame: CropFrame, size: int) -> float:
    """By how much a face of `size` pixels is enlarged when it fills `frame`: above 1 the photo is finer than the face."""
    return frame.side / size


def paste_back(
    image: ImageData, frame: CropFrame, face: Tensor, mask: Tensor, *, match_colors: bool = True, faithful: bool = True
) -> ImageData:
    """Put a face [3, s, s] in [-1, 1] (sRGB) back where `frame` says, through a mask [1, s, s] in [0, 1].

    The mask fades by itself towards those edges of the crop beyond which the photo goes on. `match_colors` shifts the colors
    of the face near the mask's border to those of the photo there. `faithful` keeps detail of single pixels, at ten times the
    work; without it they are dulled. Returns a new image; a gray one stays gray.
    """
    size = face.shape[-1]
    if face.shape != (3, size, size) or mask.shape != (1, size, size):
        raise ValueError(f"face and mask must be [3, s, s] and [1, s, s], got {list(face.shape)} and {list(mask.shape)}")
    corners = frame.corners()
    left, top = (max(0, math.floor(float(v))) for v in corners.amin(dim=0))
    ends = zip((image.width, image.height), corners.amax(dim=0), strict=True)
    right, bottom = (min(end, math.ceil(float(v))) for end, v in ends)
    if left >= right or top >= bottom:
        return image
    face, mask = face.float().clamp(-1, 1), mask.float().clamp(0, 1)
    window = image.pixels[top:bottom, left:right, : image.colors]
    local = replace(frame, center=(frame.center[0] - left, frame.center[1] - top))
    if match_colors:
        face = (face + _border_shift(ImageData(window, image.icc), local, face, mask)).clamp(-1, 1)

    height, width = bottom - top, right - left
    # Of a very large face only a strip is there as float32; then it is enlarged, and has no detail of single pixels to keep.
    strip = height if height * width <= AT_ONCE else _ROWS_AT_ONCE
    pixels = image.pixels.copy()
    result = pixels[top:bottom, left:right, : image.colors]
    for first in range(0, height, strip):
        count, inside = min(strip, height - first), _below(local.to_crop(size), first)
        weight = _faded_mask(mask, frame, inside, (count, width), (image.width, image.height))
        if faithful and strip == height:
            warped = _warp_faithfully(face, local, height, width)
        else:
            warped = warp(face, inside, count, width, oversample=2.0 if faithful else 1.0)
        for start in range(0, count, _ROWS_AT_ONCE):
            rows = slice(start, min(count, start + _ROWS_AT_ONCE))
            there = slice(first + rows.start, first + rows.stop)
            amount = weight[rows].numpy()[..., None]
            if amount.any():
                own = image.from_rgb(warped[:, rows])
                mixed = np.rint(window[there] + amount * (own - window[there])).astype(window.dtype)
                # Not even rounding touches what lies outside the mask.
                result[there] = np.where(amount > 0, mixed, window[there])
    return replace(image, pixels=pixels)


def _below(to_crop: Affine, rows: int) -> Affine:
    """The same map for coordinates that begin `rows` further down."""
    return replace(to_crop, c=to_crop.c + to_crop.b * rows, f=to_crop.f + to_crop.e * rows)


def _warp_faithfully(face: Tensor, frame: CropFrame, height: int, width: int) -> Tensor:
    """The face in the photo's pixels [3, h, w], such that reading the crop from them gives the face again.

    Resampling dulls detail of one or two pixels. What is missing is projected back (Irani & Peleg 1991), with the steps of the
    generalised conjugate residual method (Eisenstat, Elman & Schultz 1983), which needs few of them.
    """
    size = face.shape[-1]
    to_photo, to_crop = frame.to_photo(size), frame.to_crop(size)
    warped = warp(face, to_crop, height, width)
    if enlargement(frame, size) >= _FAITHFUL_BELOW:
        return warped
    inside = distance_outside(frame, size, width, height) < 0

    def read(photo: Tensor) -> Tensor:
        return warp(photo, to_photo, size, size) * inside

    missing = face * inside - read(warped)
    steps: list[tuple[Tensor, Tensor]] = []
    for _ in range(_FAITHFUL_ROUNDS):
        step = warp(missing, to_crop, height, width)
        effect = read(step)
        for earlier, its_effect in steps:
            share = (effect * its_effect).sum() / its_effect.square().sum().clamp(min=1e-12)
            step, effect = step - share * earlier, effect - share * its_effect
        steps.append((step, effect))
        length = (missing * effect).sum() / effect.square().sum().clamp(min=1e-12)
        warped, missing = warped + length * step, missing - length * effect
    return warped


def _faded_mask(mask: Tensor, frame: CropFrame, inside: Affine, window: tuple[int, int], photo: tuple[int, int]) -> Tensor:
    """The mask in the photo's pixels [h, w], exactly 0 outside the crop; `inside` maps the window of the photo to the crop."""
    size = mask.shape[-1]
    height, width = window
    corners = frame.corners()
    near = (torch.arange(size) + 0.5) / size / _EDGE
    far = near.flip(0)
    # Left, top, right, bottom edge of the crop: the corners at its ends, and each crop pixel's distance from it.
    for one, other, distance in ((0, 3, near[None]), (0, 1, near[:, None]), (1, 2, far[None]), (2, 3, far[:, None])):
        if not all(_at_photo_border(corners[index], photo) for index in (one, other)):
            mask = mask * _smooth(distance)
    weight = warp(mask, inside, height, width)[0]
    # Beyond its edges the crop would go on as its mirror image.
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    u = (inside.a * x + inside.c)[None] + (inside.b * y)[:, None]
    v = (inside.d * x + inside.f)[None] + (inside.e * y)[:, None]
    within = (u > 0) & (u < size) & (v > 0) & (v < size)
    return weight.clamp_(0, 1).mul_(within & (weight >= _NOTHING))


def _at_photo_border(corner: Tensor, photo: tuple[int, int]) -> bool:
    x, y = corner.tolist()
    return bool(x < 1.5 or y < 1.5 or x > photo[0] - 1.5 or y > photo[1] - 1.5)


def _smooth(t: Tensor) -> Tensor:
    """0 below 0, 1 above 1, with zero slope at both ends."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)


def _border_shift(part: ImageData, frame: CropFrame, face: Tensor, mask: Tensor) -> Tensor:
    """What to add to the face [3, s, s] so that its colors meet the photo's along the border of the mask.

    Coarse, so that no line is touched.
    """
    size = min(face.shape[-1], _MATCH_SIZE)
    photo, valid = CropReader(part).read(frame, face.shape[-1])
    planes = torch.cat([face, photo, mask, valid])[None]
    small = F.interpolate(planes, size=(size, size), mode="bilinear", antialias=True, align_corners=False)[0]
    shift = border_shift(small[:3], small[3:6], small[6:7], small[7:])
    return F.interpolate(shift[None], size=face.shape[1:], mode="bilinear", align_corners=False)[0]


def border_shift(face: Tensor, photo: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """The same for small images [3, n, n] of face and photo, mask [1, n, n], and [1, n, n] where the photo is known.

    The difference of the two where the mask is neither 0 nor 1 is spread a little way inwards, and only over what has the
    color of the border, so that hair before a background keeps its own.
    """
    size = face.shape[-1]
    soft = blur(mask, 0.015 * size)
    border = 4 * soft * (1 - soft) * valid
    spread = _MATCH_REACH * size
    near = blur(border, spread) + 1e-4
    difference = blur((photo - face) * border, spread) / near
    border_color = blur(face * border, spread) / near
    likeness = torch.exp(-(face - border_color).square().sum(dim=0, keepdim=True) / (2 * _MATCH_LIKENESS**2))
    # Far from the border `near` falls to nothing and takes the shift with it.
    strength = (3 * near / near.amax()).clamp(max=1) * blur(likeness, 1.0)
    return (difference * strength).clamp(-_MATCH_MOST, _MATCH_MOST)
