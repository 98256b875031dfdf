"""Adaptive discriminator augmentation: random changes that the discriminator sees and that do not leak into the generator.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B: pixel blits, geometry and colour
('bgc'). Every transformation happens with probability `p`; below about 0.8 the generator does not learn to draw them.

All geometry is one affine per picture, all colour one matrix. A picture whose affine is the identity passes as it is; one that
was only flipped, turned or moved by whole pixels is taken pixel by pixel; any other is doubled in size and sampled, and where
the affine shrinks it, sampled at twice the density and halved (the paper always does so; what is not shrunk hardly aliases).
Doubling and halving are products with a banded matrix (Lanczos, three lobes): at training sizes that is quicker than a filter
over padded planes, and mirrored borders come for free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

Draw = Callable[[int, int, torch.Generator], Tensor]
"""(pictures, resolution, generator) -> one matrix per picture."""

_LOBES = 3
# Samples beyond the picture's edge that halving needs on each side.
_MARGIN = 2 * _LOBES - 1
# How a picture is sampled, and from which reduction on it needs the denser way.
_SAME, _PIXELS, _SMOOTH, _SHRUNK = range(4)
_SHRINKS = 1.1


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(n, generator=g, device=g.device) * (high - low) + low


def _normal(n: int, deviation: float, g: torch.Generator) -> Tensor:
    return torch.randn(n, generator=g, device=g.device) * deviation


def _choice(n: int, options: int, g: torch.Generator) -> Tensor:
    return torch.randint(options, (n,), generator=g, device=g.device).float()


def _matrix(n: int, size: int, entries: dict[tuple[int, int], Tensor]) -> Tensor:
    matrix = torch.eye(size).repeat(n, 1, 1)
    for (row, column), value in entries.items():
        matrix[:, row, column] = value.cpu()
    return matrix


def _scale(x: Tensor, y: Tensor) -> Tensor:
    return _matrix(len(x), 3, {(0, 0): x, (1, 1): y})


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    return _matrix(len(cos), 3, {(0, 0): cos, (0, 1): -sin, (1, 0): sin, (1, 1): cos})


def _shift(x: Tensor, y: Tensor) -> Tensor:
    return _matrix(len(x), 3, {(0, 2): x, (1, 2): y})


# Spatial matrices act on [x, y, 1] with the picture's edges at -1 and 1. They map where a pixel is drawn to where it is taken.


def flip(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Mirror left and right, or not."""
    return _scale(1 - 2 * _choice(n, 2, g), torch.ones(n))


def quarter_turn(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Turn by 0, 90, 180 or 270 degrees."""
    turns = _choice(n, 4, g).long()
    return _rotation(torch.tensor([1.0, 0, -1, 0])[turns], torch.tensor([0.0, 1, 0, -1])[turns])


def pixel_shift(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Move by whole pixels, up to an eighth of the picture in each direction."""
    x, y = ((_uniform(n, -0.125, 0.125, g) * resolution).round() * (2 / resolution) for _ in range(2))
    return _shift(x, y)


def isotropic_scale(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Larger or smaller by 2^N(0, 0.2)."""
    s = _normal(n, -0.2, g).exp2()
    return _scale(s, s)


def rotation(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Turn by any angle."""
    angle = _uniform(n, -math.pi, math.pi, g)
    return _rotation(angle.cos(), angle.sin())


def anisotropic_scale(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Wider and lower, or narrower and higher, by 2^N(0, 0.2)."""
    s = _normal(n, 0.2, g).exp2()
    return _scale(1 / s, s)


def fractional_shift(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Move by N(0, 1/8) of the picture in each direction."""
    return _shift(_normal(n, 0.25, g), _normal(n, 0.25, g))


# Colour matrices act on [r, g, b, 1] in [-1, 1]. The luma axis is the grey diagonal.

_LUMA = torch.tensor([1.0, 1.0, 1.0]) / math.sqrt(3)


def brightness(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Add N(0, 0.2)."""
    b = _normal(n, 0.2, g)
    return _matrix(n, 4, {(0, 3): b, (1, 3): b, (2, 3): b})


def contrast(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Multiply by 2^N(0, 0.5)."""
    c = _normal(n, 0.5, g).exp2()
    return _matrix(n, 4, {(0, 0): c, (1, 1): c, (2, 2): c})


def luma_flip(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Reflect the brightness and keep the hue, or not."""
    return _on_luma(1 - 2 * _choice(n, 2, g), torch.ones(n))


def hue(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Turn around the luma axis by any angle (Rodrigues' formula)."""
    angle = _uniform(n, -math.pi, math.pi, g).cpu()[:, None, None]
    x, y, z = _LUMA.tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix = torch.eye(4).repeat(n, 1, 1)
    matrix[:, :3, :3] = torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    return matrix


def saturation(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Multiply the distance to grey by 2^N(0, 1)."""
    return _on_luma(torch.ones(n), _normal(n, 1.0, g).exp2())


def _on_luma(along: Tensor, across: Tensor) -> Tensor:
    """Scale colours along the luma axis and across it."""
    axis = torch.outer(_LUMA, _LUMA)
    matrix = torch.eye(4).repeat(len(along), 1, 1)
    matrix[:, :3, :3] = along.cpu()[:, None, None] * axis + across.cpu()[:, None, None] * (torch.eye(3) - axis)
    return matrix


BLIT: tuple[Draw, ...] = (flip, quarter_turn, pixel_shift)
# Rotation comes twice, each with probability 1 - sqrt(1 - p), so that a picture is turned with probability p.
GEOMETRY: tuple[Draw, ...] = (isotropic_scale, rotation, anisotropic_scale, rotation, fractional_shift)
COLOUR: tuple[Draw, ...] = (brightness, contrast, luma_flip, hue, saturation)


def chain(draws: Sequence[Draw], n: int, resolution: int, p: float, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """The product [n, k, k] of the drawn transformations, and which pictures were chosen by any of them (bool [n])."""
    product, touched = torch.eye(4 if draws[0] in COLOUR else 3).repeat(n, 1, 1), torch.zeros(n, dtype=torch.bool)
    for draw in draws:
        chance = 1 - math.sqrt(1 - p) if draw is rotation else p
        chosen = (torch.rand(n, generator=g, device=g.device) < chance).cpu()
        matrix = torch.where(chosen[:, None, None], draw(n, resolution, g), torch.eye(product.shape[1]))
        # Colours are mapped forwards, positions backwards: the last transformation stands left or right.
        product = matrix @ product if product.shape[1] == 4 else product @ matrix
        touched |= chosen
    return product, touched


@dataclass
class AdaptiveAugment:
    """The augmentation of a batch [N, 3, R, R] with strength `p`, which the trainer may change between steps.

    Can be differentiated twice with respect to the pictures (R1). `p` 0 returns the same tensor. Draw from a CPU generator:
    then nothing waits for an accelerator.
    """

    p: Annotated[float, "probability of each transformation, 0 to 1"] = 0.0
    blit: Annotated[bool, "flips, quarter turns and moves by whole pixels"] = True
    geometry: Annotated[bool, "scale, rotation and moves by parts of a pixel"] = True
    colour: Annotated[bool, "brightness, contrast, luma flip, hue, saturation"] = True

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, height, width = pictures.shape
        if channels != 3 or height != width:
            raise ValueError(f"pictures must be [N, 3, R, R], got {list(pictures.shape)}")
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be in 0..1, got {self.p}")
        if self.p == 0:
            return pictures
        affine, kind = torch.eye(3).repeat(n, 1, 1), torch.full((n,), _SAME)
        if self.blit:
            affine, touched = chain(BLIT, n, width, self.p, generator)
            kind[touched] = _PIXELS
        if self.geometry:
            geometry, touched = chain(GEOMETRY, n, width, self.p, generator)
            affine = affine @ geometry
            kind[touched] = _SMOOTH
            kind[touched & (torch.linalg.matrix_norm(affine[:, :2, :2], ord=2) > _SHRINKS)] = _SHRUNK
        pictures = _warp(pictures, affine, kind)
        if self.colour:
            matrix, _ = chain(COLOUR, n, width, self.p, generator)
            matrix = matrix.to(pictures, non_blocking=True)
            pictures = torch.baddbmm(matrix[:, :3, 3:], matrix[:, :3, :3], pictures.flatten(2)).view_as(pictures)
        return pictures


def _warp(pictures: Tensor, affine: Tensor, kind: Tensor) -> Tensor:
    """Sample every picture where `affine` says, in the way that its `kind` needs."""
    r, device = pictures.shape[2], pictures.device
    order, parts = [], []
    for which in (_SAME, _PIXELS, _SMOOTH, _SHRUNK):
        chosen = (kind == which).nonzero()[:, 0]
        if not len(chosen):
            continue
        part = pictures if len(chosen) == len(pictures) else pictures[chosen.to(device, non_blocking=True)]
        if which == _PIXELS:
            part = _sample(part, affine[chosen], r, 0)
        elif which != _SAME:
            double = _double(r, device, part.dtype)
            part = double @ part @ double.t()
            if which == _SMOOTH:
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
