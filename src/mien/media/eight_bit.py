"""The one conversion between images in [-1, 1] and bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.errors import InputError

HALF_RANGE = 127.5
"""Steps of a byte from black to the middle: [-1, 1] times this, plus this, is 0 to 255."""


def to_uint8(images: Tensor) -> Tensor:
    """[..., H, W] in [-1, 1] as uint8 on the CPU: values beyond are clipped, the rest rounded to the nearest.

    Raises `InputError` for numbers that are not finite, which have no color.
    """
    images = images.detach().float().cpu()
    if not bool(images.isfinite().all()):
        raise InputError("An image was drawn with numbers that are not finite: use another model or style, or less strength.")
    return images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def from_uint8(pixels: Tensor) -> Tensor:
    """uint8 [..., H, W] as float32 in [-1, 1], on the same device."""
    return pixels.float() / 127.5 - 1
