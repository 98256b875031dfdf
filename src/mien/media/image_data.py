"""An image as data: upright pixels in their own mode, with their color profile.

A pixel covers the unit square: pixel (column x, row y) has its center at (x + 0.5, y + 0.5). All coordinates in mien are such.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.media import icc_profile
from mien.media.eight_bit import to_uint8

Pixels: TypeAlias = NDArray[Any]
"""[H, W, C], uint8 or uint16."""

_STRIP = 4_000_000  # pixels that are float32 at once
_LUMA = np.array([[0.299], [0.587], [0.114]], dtype=np.float32)  # ITU-R BT.601, as Pillow's conversion to gray


@dataclass(frozen=True)
class ImageData:
    """Upright pixels in their own mode, with their color profile.

    `pixels` is [H, W, C] uint8 or uint16 with C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA (alpha not premultiplied).
    """

    pixels: Pixels
    icc: bytes | None = None
    """ICC profile of the color channels; None means sRGB (or sRGB-like gray)."""
    path: Path | None = None
    """Where it was read from."""
    exif: bytes | None = None
    """The metadata that is kept: an EXIF block of harmless facts (see `mien.media.metadata`)."""

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def colors(self) -> int:
        """Color channels without alpha: 1 or 3."""
        return 1 if self.pixels.shape[2] < 3 else 3

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is transparency."""
        return int(self.pixels.shape[2]) in (2, 4)

    @property
    def peak(self) -> int:
        """The largest value of a pixel: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def rgb(self) -> Tensor:
        """The image as [3, H, W] float32 in [-1, 1], sRGB; transparent parts lie on white."""
        values = self.to_srgb(self.pixels[..., : self.colors])
        if self.has_alpha:
            alpha = self.pixels[..., -1:].astype(np.float32) / np.float32(self.peak)
            values = values * alpha + (np.float32(1.0) - alpha)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1))).mul_(2.0).sub_(1.0)

    def rgb_reduced(self, factor: int) -> Tensor:
        """The same as `rgb`, made smaller by a whole factor: means of `factor` x `factor` pixels, fewer at the far edges.

        A pixel (x, y) of the image lies at (x / factor, y / factor) of it. Only a strip of the image is there as float32.
        """
        rows = max(1, _STRIP // (self.width * factor)) * factor
        strips = (self.part(0, top, self.width, top + rows).rgb() for top in range(0, self.height, rows))
        return torch.cat([F.avg_pool2d(strip[None], factor, ceil_mode=True)[0] for strip in strips], dim=1)

    def part(self, left: int, top: int, right: int, bottom: int) -> ImageData:
        """A rectangle of the image, which shares its memory; what lies outside is left out."""
        return replace(self, pixels=self.pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)])

    def to_srgb(self, part: Pixels) -> NDArray[np.float32]:
        """Color channels [H, W, 1 or 3] of this image's depth and profile as sRGB [H, W, 3] in [0, 1]."""
        values = part.astype(np.float32) / np.float32(self.peak)
        if self.icc is not None and self._needs_profile:
            return icc_profile.convert(values, self.icc, self.colors, "to_srgb")
        return np.repeat(values, 3, axis=2) if self.colors == 1 else values

    def from_srgb(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """sRGB [H, W, 3] in [0, 1] as this image's own channels [H, W, 1 or 3]: 0 to `peak`, not rounded."""
        if self.icc is not None and self._needs_profile:
            own = icc_profile.convert(values, self.icc, self.colors, "from_srgb")
        elif self.colors == 1:
            own = values @ _LUMA
        else:
            own = values
        return np.clip(own, 0.0, 1.0) * np.float32(self.peak)

    def from_rgb(self, rgb: Tensor) -> NDArray[np.float32]:
        """The same of [3, H, W] in [-1, 1], clipped: what `rgb` gave for an image without alpha goes back."""
        return self.from_srgb(((rgb.clamp(-1, 1) + 1) / 2).permute(1, 2, 0).contiguous().numpy())

    @property
    def _needs_profile(self) -> bool:
        return self.icc is not None and not (self.colors == 3 and icc_profile.is_srgb(self.icc))

    def colored(self) -> ImageData:
        """This image with three color channels: a gray one is repeated and loses its profile, which describes gray only."""
        if self.colors == 3:
            return self
        if self._needs_profile:
            values = self.to_srgb(self.pixels[..., :1])
            own = (values * self.peak + 0.5).astype(self.pixels.dtype)
        else:
            own = np.repeat(self.pixels[..., :1], 3, axis=2)
        return replace(self, pixels=np.concatenate([own, self.pixels[..., 1:]], axis=2), icc=None)


def from_tensor(rgb: Tensor) -> ImageData:
    """An 8 bit sRGB image of a [3, H, W] tensor in [-1, 1]; values beyond are clipped, the rest rounded to the nearest."""
    if rgb.ndim != 3 or rgb.shape[0] != 3:
        raise ValueError(f"rgb must be [3, H, W], got {list(rgb.shape)}")
    return ImageData(np.ascontiguousarray(to_uint8(rgb).permute(1, 2, 0).numpy()))
