"""Filtering and corruption: what ADA may do to an image besides moving and coloring it.

Karras et al. 2020, appendix B, "image-space filtering" and "image-space corruptions", from its description.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

# Orthonormal wavelet with two vanishing moments (Daubechies 1988; "sym2"). Its autocorrelation is a zero-phase filter that
# keeps the lower half of the frequencies, and one minus it keeps the upper half.
_HALF = (-1 / 32, 0.0, 9 / 32, 1 / 2, 9 / 32, 0.0, -1 / 32)
_BANDS = 4
# The expected power of the bands in images, whose spectrum falls with the frequency.
_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
_NOISE = 0.1  # the deviation of the noise is half-normal with this deviation
_HOLE = 0.5  # side of the missing square in units of the image's


def gains(n: int, p: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Gains of the four bands [n, 4], lowest first, and which images were chosen for any (bool [n]).

    Each band is amplified with probability `p` by 2^N(0, 1), and all of them brought back to the power expected of an image.
    """
    total, touched = torch.ones(n, _BANDS, device=g.device), torch.zeros(n, dtype=torch.bool, device=g.device)
    for band in range(_BANDS):
        chosen = _chosen(n, p, g)
        own = torch.ones(n, _BANDS, device=g.device)
        own[:, band] = torch.randn(n, generator=g, device=g.device).exp2()
        power = sum(own[:, k].square() * share for k, share in enumerate(_POWER))
        total = torch.where(chosen[:, None], total * own / torch.as_tensor(power)[:, None].sqrt(), total)
        touched = touched | chosen
    return total, touched


def filtered(images: Tensor, p: Tensor, g: torch.Generator) -> Tensor:
    """Images [N, 3, R, R] with other strengths of their frequencies, in both directions alike; borders are mirrored."""
    strengths, chosen = gains(len(images), p, g)
    bands = _bands(images.shape[2], images.device, images.dtype)
    matrices = torch.einsum("nb,brs->nrs", strengths.to(bands), bands)[:, None]
    return torch.where(chosen[:, None, None, None], matrices @ images @ matrices.transpose(2, 3), images)


def add_noise(images: Tensor, p: Tensor, g: torch.Generator) -> Tensor:
    """Images with probability `p` with independent normal noise on every value, of half-normal deviation (0.1)."""
    n = len(images)
    chosen, deviation = _chosen(n, p, g), torch.randn(n, generator=g, device=g.device).abs()
    scale = (chosen * deviation * _NOISE).to(images)[:, None, None, None]
    return images + scale * torch.randn(images.shape, generator=g, device=g.device).to(images)


def cut_out(images: Tensor, p: Tensor, g: torch.Generator) -> Tensor:
    """Images with probability `p` with a gray square of half their side, whose center lies anywhere in the image."""
    n, r = len(images), images.shape[2]
    chosen, center = _chosen(n, p, g), torch.rand(n, 2, generator=g, device=g.device)
    first, last = (((center + side * _HOLE / 2) * r).round() for side in (-1, 1))
    place = torch.arange(r, device=g.device)
    inside = (place >= first[:, :, None]) & (place < last[:, :, None]) & chosen[:, None, None]
    across, down = inside.to(images).unbind(dim=1)  # [N, R]
    return images * (1 - down[:, None, :, None] * across[:, None, None, :])


def _chosen(n: int, p: Tensor, g: torch.Generator) -> Tensor:
    return torch.rand(n, generator=g, device=g.device) < p


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
