"""What may happen to a picture's geometry and colours, drawn at random as one matrix per picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[[int, int, torch.Generator], Tensor]
"""(pictures, resolution, generator) -> one matrix per picture."""


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
