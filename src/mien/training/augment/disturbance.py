"""Filtering and corruption: what ADA may do to a picture besides moving and colouring it.

Karras et al. 2020, appendix B, "image-space filtering" and "image-space corruptions", from its description.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

# Orthonormal wavelet with two vanishing moments (Daubechies 1988; "sym2"). Its autocorrelation is a zero-phase filter that
# keeps the lower half of the frequencies, and one minus it keeps the upper half.
_HALF = (-1 / 32, 0.0, 9 / 32, 1 / 2, 9 / 32, 0.0, -1 / 32)
_BANDS = 4
# The expected power of the bands in pictures, whose spectrum falls with the frequency.
_POWER = torch.tensor([10.0, 1.0, 1.0, 1.0]) / 13
_NOISE = 0.1  # the deviation of the noise is half-normal with this deviation
_HOLE = 0.5  # side of the missing square in units of the picture's


def gains(n: int, p: float, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Gains of the four bands [n, 4], lowest first, and which pictures were chosen for any (bool [n]); on the CPU.

    Each band is amplified with probability `p` by 2^N(0, 1), and all of them brought back to the power expected of a picture.
    """
    total, touched = torch.ones(n, _BANDS), torch.zeros(n, dtype=torch.bool)
    for band in range(_BANDS):
        chosen = (torch.rand(n, generator=g, device=g.device) < p).cpu()
        own = torch.ones(n, _BANDS)
        own[:, band] = torch.randn(n, generator=g, device=g.device).exp2().cpu()
        own /= (own.square() * _POWER).sum(dim=1, keepdim=True).sqrt()
        total = torch.where(chosen[:, None], total * own, total)
        touched |= chosen
    return total, touched


def filtered(pictures: Tensor, p: float, g: torch.Generator) -> Tensor:
    """Pictures [N, 3, R, R] with other strengths of their frequencies, in both directions alike; borders are mirrored."""
    strengths, chosen = gains(len(pictures), p, g)
    bands = _bands(pictures.shape[2], pictures.device, pictures.dtype)
    matrices = torch.einsum("nb,brs->nrs", strengths[chosen].to(bands, non_blocking=True), bands)[:, None]
    return _where(chosen, pictures, lambda part: matrices @ part @ matrices.transpose(2, 3))


def add_noise(pictures: Tensor, p: float, g: torch.Generator) -> Tensor:
    """Pictures with probability `p` with independent normal noise on every value, of half-normal deviation (0.1)."""
    chosen, deviation = _chosen(len(pictures), p, g), torch.randn(len(pictures), generator=g, device=g.device).abs().cpu()
    scale = (deviation[chosen] * _NOISE).to(pictures, non_blocking=True)[:, None, None, None]
    # Drawn where the pictures are: that many numbers would take longer to draw and to copy than all else.
    seed = int(torch.randint(2**62, [], generator=g, device=g.device))
    own = torch.Generator(pictures.device).manual_seed(seed)

    def noisy(part: Tensor) -> Tensor:
        return part + scale * torch.randn(part.shape, generator=own, device=part.device, dtype=part.dtype)

    return _where(chosen, pictures, noisy)


def cut_out(pictures: Tensor, p: float, g: torch.Generator) -> Tensor:
    """Pictures with probability `p` with a grey square of half their side, whose centre lies anywhere in the picture."""
    n, r = len(pictures), pictures.shape[2]
    chosen, centre = _chosen(n, p, g), torch.rand(n, 2, generator=g, device=g.device).cpu()
    first, last = (((centre[chosen] + side * _HOLE / 2) * r).round() for side in (-1, 1))
    place = torch.arange(r)
    inside = (place >= first[:, :, None]) & (place < last[:, :, None])
    across, down = inside.to(pictures, non_blocking=True).unbind(dim=1)  # [chosen, R]
    return _where(chosen, pictures, lambda part: part * (1 - down[:, None, :, None] * across[:, None, None, :]))


def _chosen(n: int, p: float, g: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=g, device=g.device) < p).cpu()


def _where(chosen: Tensor, pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The pictures with `change` of those that were chosen (bool [N], on the CPU); the others pass as they are."""
    index = chosen.nonzero()[:, 0]
    if not len(index):
        return pictures
    if len(index) == len(pictures):
        return change(pictures)
    index = index.to(pictures.device, non_blocking=True)
    return pictures.index_copy(0, index, change(pictures[index]))


@lru_cache(maxsize=8)
def _bands(resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[4, R, R]: takes one band of frequencies out of rows or columns, the lowest first; their sum is the identity.

    The bands end at an eighth, a quarter, a half and all of what R pixels can hold.
    """
    low, found = torch.eye(resolution, dtype=torch.float64), []
    for octave in range(_BANDS - 1):
        lower = _low_pass(resolution, 2**octave) @ low
        found.append(low - lower)
        low = lower
    return torch.stack([low, *reversed(found)]).to(device, dtype)


def _low_pass(resolution: int, spacing: int) -> Tensor:
    """[R, R]: the half-band filter with its taps `spacing` pixels apart; the borders are mirrored."""
    reach = len(_HALF) // 2
    matrix = torch.zeros(resolution, resolution, dtype=torch.float64)
    rows = torch.arange(resolution)
    for tap, weight in enumerate(_HALF, -reach):
        place = (rows + tap * spacing) % (2 * resolution)
        mirrored = torch.where(place < resolution, place, 2 * resolution - 1 - place)
        matrix.index_put_((rows, mirrored), torch.full((resolution,), weight, dtype=torch.float64), accumulate=True)
    return matrix
