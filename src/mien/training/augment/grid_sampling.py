"""Reading images through affine maps, differentiable twice.

An image whose affine is the identity passes as it is; one that was only flipped, turned or moved by whole pixels is taken pixel
by pixel; any other is doubled in size, sampled at twice the density and halved, as in the paper. Doubling and halving are
products with a banded matrix (Lanczos, three lobes): at training sizes that is quicker than a filter over padded planes, and
mirrored borders come for free.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LOBES = 3
# Samples beyond the image's edge that halving needs on each side.
_MARGIN = 2 * _LOBES - 1
# How an image is sampled.
SAME, PIXELS, SMOOTH = range(3)


def sampled(images: Tensor, affine: Tensor, kind: Tensor, *, fixed_shapes: bool = False) -> Tensor:
    """Sample every image where its `affine` [N, 3, 3] says, in the way that its `kind` [N] needs.

    `fixed_shapes` computes every image in both ways and chooses afterwards: more arithmetic, but nothing depends on the values,
    as a CUDA graph needs it. The results are the same.
    """
    if fixed_shapes:
        shape = (-1, 1, 1, 1)
        moved = torch.where((kind == SMOOTH).view(shape), _smooth(images, affine), _pixels(images, affine))
        return torch.where((kind == SAME).view(shape), images, moved)
    order, parts = [], []
    for which, way in ((SAME, _same), (PIXELS, _pixels), (SMOOTH, _smooth)):
        chosen = (kind == which).nonzero()[:, 0]
        if len(chosen) == len(images):
            return way(images, affine)
        if len(chosen):
            order.append(chosen)
            parts.append(way(images[chosen], affine[chosen]))
    return torch.cat(parts)[torch.cat(order).argsort()]


def _same(images: Tensor, affine: Tensor) -> Tensor:
    return images


def _pixels(images: Tensor, affine: Tensor) -> Tensor:
    return _sample(images, affine, images.shape[2], 0)


def _smooth(images: Tensor, affine: Tensor) -> Tensor:
    r, device = images.shape[2], images.device
    double, halve = _double(r, device, images.dtype), _halve(r, device, images.dtype)
    return halve @ _sample(double @ images @ double.t(), affine, 2 * r, _MARGIN) @ halve.t()


def _sample(images: Tensor, affine: Tensor, size: int, margin: int) -> Tensor:
    """[N, 3, S, S] -> [N, 3, size + 2 margin, size + 2 margin], bilinear, mirrored beyond the edges."""
    axis = (torch.arange(-margin, size + margin, dtype=images.dtype, device=images.device) * 2 + 1) / size - 1
    a = affine.to(images)[:, :2, :, None, None]  # [N, 2, 3, 1, 1]
    grid = a[:, :, 0] * axis[None, None, None, :] + a[:, :, 1] * axis[None, None, :, None] + a[:, :, 2]
    result: Tensor = _Sample.apply(images, grid.permute(0, 2, 3, 1).contiguous())  # type: ignore[no-untyped-call]
    return result


class _Sample(torch.autograd.Function):
    """Bilinear sampling is linear in the image; torch knows its derivative but not the derivative of that one."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        grad: Tensor = _Spread.apply(grads[0], grid, ctx.size)  # type: ignore[no-untyped-call]
        return grad, None


class _Spread(torch.autograd.Function):
    """The transpose of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        like = grad.new_empty(1).expand(size)  # only its shape matters
        bilinear, reflection = 0, 2
        spread, _ = torch.ops.aten.grid_sampler_2d_backward(
            grad.contiguous(), like, grid, bilinear, reflection, False, (True, False)
        )  # fmt: skip
        result: Tensor = spread
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        grad: Tensor = _Sample.apply(grads[0], grid)  # type: ignore[no-untyped-call]
        return grad, None, None


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _LOBES, torch.sinc(x) * torch.sinc(x / _LOBES), torch.zeros_like(x))


@lru_cache(maxsize=8)
def _double(resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[2R, R]: doubles one side; the borders are mirrored."""
    place = (torch.arange(2 * resolution, dtype=torch.float64) + 0.5) / 2 - 0.5
    taps = torch.arange(-_LOBES - 1, resolution + _LOBES + 1)
    weights = _lanczos(place[:, None] - taps[None])
    period = taps % (2 * resolution)
    mirrored = torch.where(period < resolution, period, 2 * resolution - 1 - period)
    matrix = torch.zeros(2 * resolution, resolution, dtype=torch.float64).index_add_(1, mirrored, weights)
    return (matrix / matrix.sum(dim=1, keepdim=True)).to(dtype).to(device)


@lru_cache(maxsize=8)
def _halve(resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[R, 2R + 2 margin]: halves one side; the margin is used up."""
    place = 2 * torch.arange(resolution, dtype=torch.float64) + 0.5 + _MARGIN
    taps = torch.arange(2 * resolution + 2 * _MARGIN, dtype=torch.float64)
    matrix = _lanczos((place[:, None] - taps[None]) / 2)
    return (matrix / matrix.sum(dim=1, keepdim=True)).to(dtype).to(device)
