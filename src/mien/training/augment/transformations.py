"""What may happen to an image's geometry and colors, drawn at random as one matrix per image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[[int, int, torch.Generator], Tensor]
"""(images, resolution, generator) -> one matrix per image."""


def _uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return torch.rand(n, generator=g, device=g.device) * (high - low) + low


def _normal(n: int, deviation: float, g: torch.Generator) -> Tensor:
    return torch.randn(n, generator=g, device=g.device) * deviation


def _choice(n: int, options: int, g: torch.Generator) -> Tensor:
    return torch.randint(options, (n,), generator=g, device=g.device).float()


def _matrix(size: int, entries: dict[tuple[int, int], Tensor]) -> Tensor:
    first = next(iter(entries.values()))
    matrix = torch.eye(size, device=first.device).repeat(len(first), 1, 1)
    for (row, column), value in entries.items():
        matrix[:, row, column] = value
    return matrix


def _scale(x: Tensor, y: Tensor) -> Tensor:
    return _matrix(3, {(0, 0): x, (1, 1): y})


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    return _matrix(3, {(0, 0): cos, (0, 1): -sin, (1, 0): sin, (1, 1): cos})


def _shift(x: Tensor, y: Tensor) -> Tensor:
    return _matrix(3, {(0, 2): x, (1, 2): y})


# Spatial matrices act on [x, y, 1] with the image's edges at -1 and 1. They map where a pixel is drawn to where it is taken.


def flip(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Mirror left and right, or not."""
    return _scale(1 - 2 * _choice(n, 2, g), torch.ones(n, device=g.device))


def quarter_turn(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Turn by 0, 90, 180 or 270 degrees."""
    angle = _choice(n, 4, g) * (math.pi / 2)
    return _rotation(angle.cos().round(), angle.sin().round())


def pixel_shift(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Move by whole pixels, up to an eighth of the image in each direction."""
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
    """Move by N(0, 1/8) of the image in each direction."""
    return _shift(_normal(n, 0.25, g), _normal(n, 0.25, g))


# Color matrices act on [r, g, b, 1] in [-1, 1]. The luma axis is the gray diagonal (1, 1, 1) / sqrt(3).


def brightness(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Add N(0, 0.2)."""
    b = _normal(n, 0.2, g)
    return _matrix(4, {(0, 3): b, (1, 3): b, (2, 3): b})


def contrast(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Multiply by 2^N(0, 0.5)."""
    c = _normal(n, 0.5, g).exp2()
    return _matrix(4, {(0, 0): c, (1, 1): c, (2, 2): c})


def luma_flip(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Reflect the brightness and keep the hue, or not."""
    return _on_luma(1 - 2 * _choice(n, 2, g), torch.ones(n, device=g.device))


def hue(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Turn around the luma axis by any angle (Rodrigues' formula)."""
    angle = _uniform(n, -math.pi, math.pi, g)[:, None, None]
    eye = torch.eye(3, device=g.device)
    cross = (eye.roll(1, 0) - eye.roll(-1, 0)) / math.sqrt(3)  # the cross product with the luma axis
    matrix = torch.eye(4, device=g.device).repeat(n, 1, 1)
    matrix[:, :3, :3] = eye + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    return matrix


def saturation(n: int, resolution: int, g: torch.Generator) -> Tensor:
    """Multiply the distance to gray by 2^N(0, 1)."""
    return _on_luma(torch.ones(n, device=g.device), _normal(n, 1.0, g).exp2())


def _on_luma(along: Tensor, across: Tensor) -> Tensor:
    """Scale colors along the luma axis and across it."""
    axis = torch.full((3, 3), 1 / 3, device=along.device)  # projects onto it
    matrix = torch.eye(4, device=along.device).repeat(len(along), 1, 1)
    across_axis = torch.eye(3, device=along.device) - axis
    matrix[:, :3, :3] = along[:, None, None] * axis + across[:, None, None] * across_axis
    return matrix


BLIT: tuple[Draw, ...] = (flip, quarter_turn, pixel_shift)
# Rotation comes twice, each with probability 1 - sqrt(1 - p), so that an image is turned with probability p.
GEOMETRY: tuple[Draw, ...] = (isotropic_scale, rotation, anisotropic_scale, rotation, fractional_shift)
COLOR: tuple[Draw, ...] = (brightness, contrast, luma_flip, hue, saturation)


def chain(draws: Sequence[Draw], n: int, resolution: int, p: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """The product [n, k, k] of the drawn transformations, and which images were chosen by any of them (bool [n]).

    `p` is a scalar on the generator's device: nothing here waits for it, and all shapes are fixed.
    """
    size = 4 if draws[0] in COLOR else 3
    eye = torch.eye(size, device=g.device)
    product, touched = eye.repeat(n, 1, 1), torch.zeros(n, dtype=torch.bool, device=g.device)
    for draw in draws:
        chance = 1 - (1 - p).sqrt() if draw is rotation else p
        chosen = torch.rand(n, generator=g, device=g.device) < chance
        matrix = torch.where(chosen[:, None, None], draw(n, resolution, g), eye)
        # Colors are mapped forwards, positions backwards: the last transformation stands left or right.
        product = matrix @ product if size == 4 else product @ matrix
        touched = touched | chosen
    return product, touched
