"""Colors of an image to sRGB and back, by its ICC profile (littlecms inside Pillow)."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Direction = Literal["to_srgb", "from_srgb"]
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def fits(icc: bytes, channels: int) -> bool:
    """Whether a profile is readable and describes images of that many color channels (1 gray, 3 RGB, 4 CMYK)."""
    try:
        _transform(icc, channels, "to_srgb")
        if channels != 4:
            _transform(icc, channels, "from_srgb")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return True


@lru_cache(maxsize=8)
def _transform(icc: bytes, channels: int, direction: Direction) -> ImageCms.ImageCmsTransform:
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    mode = _MODES[channels]
    if direction == "to_srgb":
        return ImageCms.buildTransform(own, srgb, mode, "RGB", intent, flags)
    return ImageCms.buildTransform(srgb, own, "RGB", mode, intent, flags)


@lru_cache(maxsize=8)
def is_srgb(icc: bytes) -> bool:
    """Whether an RGB profile leaves colors where they are, whatever its name: at most one step of 255 on a grid."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(27, 27, 3)
    moved = np.asarray(_transform(icc, 3, "to_srgb").apply(Image.fromarray(grid)))
    return int(np.abs(moved.astype(int) - grid.astype(int)).max()) <= 1


def convert(values: NDArray[np.float32], icc: bytes, channels: int, direction: Direction) -> NDArray[np.float32]:
    """Colors [H, W, C] in [0, 1] between sRGB (C = 3) and the space of a profile of `channels` channels.

    littlecms is reached with 8 bits; what they round away is carried over unchanged, so that 16 bit images stay smooth.
    """
    result_channels = 3 if direction == "to_srgb" else channels
    rounded = np.clip(values * 255.0 + 0.5, 0, 255).astype(np.uint8)
    image = Image.fromarray(rounded[..., 0] if rounded.shape[-1] == 1 else rounded)
    moved = np.asarray(_transform(icc, channels, direction).apply(image), dtype=np.float32) / 255.0
    moved = moved.reshape(*values.shape[:2], result_channels)
    rest = values - rounded.astype(np.float32) / 255.0
    if rest.shape[-1] != result_channels:
        rest = rest.mean(axis=-1, keepdims=True)
    result: NDArray[np.float32] = np.clip(moved + rest, 0.0, 1.0).astype(np.float32)
    return result


def cmyk_to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """A CMYK image as sRGB, by its profile where a readable one is there, by Pillow's plain formula otherwise."""
    if icc is not None and fits(icc, 4):
        return _transform(icc, 4, "to_srgb").apply(image)
    return image.convert("RGB")
