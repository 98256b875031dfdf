"""Reading pictures through affine maps, each in the cheapest way that is good enough, differentiable twice.

A picture whose affine is the identity passes as it is; one that was only flipped, turned or moved by whole pixels is taken
pixel by pixel; any other is doubled in size and sampled, and where the affine shrinks it, sampled at twice the density and
halved (the paper always does so; what is not shrunk hardly aliases). Doubling and halving are products with a banded matrix
(Lanczos, three lobes): at training sizes that is quicker than a filter over padded planes, and mirrored borders come for free.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LOBES = 3
# Samples beyond the picture's edge that halving needs on each side.
_MARGIN = 2 * _LOBES - 1
# How a picture is sampled, and from which reduction on it needs the denser way.
SAME, PIXELS, SMOOTH, SHRUNK = range(4)
SHRINKS = 1.1


def sampled(pictures: Tensor, affine: Tensor, kind: Tensor) -> Tensor:
    """Sample every picture where `affine` says, in the way that its `kind` needs."""
    r, device = pictures.shape[2], pictures.device
    order, parts = [], []
    for which in (SAME, PIXELS, SMOOTH, SHRUNK):
        chosen = (kind == which).nonzero()[:, 0]
        if not len(chosen):
            continue
        part = pictures if len(chosen) == len(pictures) else pictures[chosen.to(device, non_blocking=True)]
        if which == PIXELS:
            part = _sample(part, affine[chosen], r, 0)
        elif which != SAME:
            double = _double(r, device, part.dtype)
            part = double @ part @ double.t()
            if which == SMOOTH:
                part = _sample(part, affine[chosen], r, 0)
            else:
                halve = _halve(r, device, part.dtype)
                part = halve @ _sample(part, affine[chosen], 2 * r, _MARGIN) @ halve.t()
        order.append(chosen)
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts)[torch.cat(order).argsort().to(device, non_blocking=True)]


def _sample(pictures: Tensor, affine: Tensor, size: int, margin: int) -> Tensor:
    """[N, 3, S, S] -> [N, 3, size + 2 margin, size + 2 margin], bilinear, mirrored beyond the edges."""
    axis = (torch.arange(-margin, size + margin, dtype=pictures.dtype, device=pictures.device) * 2 + 1) / size - 1
    a = affine.to(pictures, non_blocking=True)[:, :2, :, None, None]  # [N, 2, 3, 1, 1]
    grid = a[:, :, 0] * axis[None, None, None, :] + a[:, :, 1] * axis[None, None, :, None] + a[:, :, 2]
    result: Tensor = _Sample.apply(pictures, grid.permute(0, 2, 3, 1).contiguous())  # type: ignore[no-untyped-call]
    return result


class _Sample(torch.autograd.Function):
    """Bilinear sampling is linear in the picture; torch knows its derivative but not the derivative of that one."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = pictures.shape
        return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

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
