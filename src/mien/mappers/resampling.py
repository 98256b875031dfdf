"""Resizing, blurring and averaging of square images as products with fixed matrices: exact, and every engine runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.faces.warp import blur


class Separable(nn.Module):
    """What a separable linear operation does to the columns of an image, done to both sides: [..., s, s] -> [..., t, t].

    `operation` takes images [1, s, w] and changes their height alone, or treats both sides alike.
    """

    matrix: Tensor

    def __init__(self, size: int, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        # The effect on every unit vector, in an image that is constant along its other side.
        columns = torch.eye(size, dtype=torch.float64)[:, :, None].expand(-1, -1, size)
        columns_out = operation(columns.float())  # [s, t, ...]
        self.register_buffer("matrix", columns_out[:, :, columns_out.shape[2] // 2].t().contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.matrix @ (x @ self.matrix.t())


def resizing(size: int, to: int, mode: Literal["bilinear", "bicubic"]) -> nn.Module:
    """`F.interpolate` from `size` to `to` pixels, anti-aliased."""
    if size == to:
        return nn.Identity()

    def interpolate(x: Tensor) -> Tensor:
        return F.interpolate(x[None], size=(to, to), mode=mode, antialias=True, align_corners=False)[0]

    return Separable(size, interpolate)


def averaging(size: int, reach: int) -> nn.Module:
    """The mean of windows that reach `reach` pixels to each side; the border is repeated."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x[None], (reach,) * 4, mode="replicate"), 2 * reach + 1, 1)[0]

    return Separable(size, mean)


def blurring(size: int, radius: float) -> nn.Module:
    """The Gaussian blur of `mien.faces.warp`, of that standard deviation in pixels."""
    return Separable(size, lambda x: blur(x, radius))
