"""Where a model's codes lie: the whitened P space, in which W is about Gaussian.

Zhu et al., "Improved StyleGAN Embedding: Where are the Good Latents?" (2020), section 3: undone the leaky ReLU that ends the
mapping network, codes are about Gaussian; after PCA their squared length says how unlikely a code is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.models.generator import Generator
from mien.models.sampling import random_latents

_INVERSE_SLOPE = 5.0  # of the leaky ReLU that ends the mapping network
_DEGENERATE, _STIFF = 1e-4, 1e-2  # of the largest spread: left out; taken for no narrower than this


@dataclass(frozen=True)
class CodeDensity:
    """A Gaussian in the P space."""

    center: Tensor
    """Mean of the P space, [w_dim]."""
    whitening: Tensor
    """[w_dim, directions]: principal directions of the P space over their standard deviations."""

    @classmethod
    def of(cls, w: Tensor, most: int | None = None) -> CodeDensity:
        """Fitted to mapped codes [N, w_dim], in at most `most` principal directions; None: all that vary."""
        p = to_p(w)
        center = p.mean(dim=0)
        spread, directions = torch.linalg.svd((p - center) / len(p) ** 0.5, full_matrices=False)[1:]
        count = int((spread > _DEGENERATE * spread[0]).sum())
        count = count if most is None else min(most, count)
        scale = spread[:count].clamp(min=_STIFF * float(spread[0]))
        return cls(center, (directions[:count] / scale[:, None]).T)

    def out(self, w_plus: Tensor) -> Tensor:
        """How far out codes [N, rows, w_dim] lie: squared Mahalanobis distance per direction, mean over rows, [N].

        About 1 for mapped codes.
        """
        return ((to_p(w_plus) - self.center) @ self.whitening).square().mean(dim=(1, 2))


@torch.no_grad()
def mapped_codes(generator: Generator, count: int, *, seed: int = 0) -> Tensor:
    """`count` random codes [count, w_dim] of the mapping network."""
    w: Tensor = generator.mapping(random_latents(generator, count, seed))
    return w


def to_p(w: Tensor) -> Tensor:
    """W -> P: before the last leaky ReLU of the mapping network."""
    return torch.where(w < 0, w * _INVERSE_SLOPE, w)
