"""Random faces of a generator: seeds -> z -> W+ codes -> images. The one place where latents are drawn and mapped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mien.latents import broadcast, truncate
from mien.models.generator import Generator, SynthesisNetwork
from mien.runtime import seeded

USUAL_PSI = 0.7
"""Truncation of sample grids and previews."""


def random_latents(generator: Generator, count: int, random: int | torch.Generator = 0) -> Tensor:
    """Gaussian z [count, z_dim] on the generator's device, of a seed or of random numbers that live on the CPU.

    Of one seed the first ones do not depend on `count`.
    """
    numbers = seeded(random) if isinstance(random, int) else random
    return torch.randn(count, generator.config.z_dim, generator=numbers).to(generator.mapping.w_avg.device)


def map_latents(generator: Generator, z: Tensor, psi: float = 1.0) -> Tensor:
    """W+ codes [N, num_ws, w_dim] of `z` [N, z_dim], pulled towards the mean code by the truncation `psi`; 1: not at all."""
    w_plus = broadcast(generator.mapping(z), generator.num_ws)
    return w_plus if psi == 1 else truncate(w_plus, generator.mapping.w_avg, psi)


@torch.no_grad()
def random_codes(generator: Generator, count: int, *, seed: int = 0, psi: float = USUAL_PSI) -> Tensor:
    """W+ codes [count, num_ws, w_dim] of random faces, truncated by `psi`; the first ones do not depend on `count`."""
    return map_latents(generator, random_latents(generator, count, seed), psi)


def codes_of_seeds(generator: Generator, seeds: Sequence[int], *, psi: float = USUAL_PSI) -> Tensor:
    """W+ codes [N, num_ws, w_dim]: of each seed the first random face."""
    return torch.cat([random_codes(generator, 1, seed=seed, psi=psi) for seed in seeds])


@torch.no_grad()
def images_of(
    network: SynthesisNetwork, w_plus: Tensor, feature_code: Tensor | None = None, *, batch: int = 8,
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """Images [N, 3, R, R] of codes [N, num_ws, w_dim], and of feature codes [N, C, r, r], on the CPU; with the stored noise.

    Convolutions run in `dtype`.
    """
    noise, device = network.noise("const"), network.layer("4conv").weight.device
    drawn = []
    for start in range(0, len(w_plus), batch):
        part = slice(start, start + batch)
        own = None if feature_code is None else feature_code[part].to(device)
        drawn.append(network.synthesize(network.styles(w_plus[part].to(device)), noise, dtype, own).cpu())
    return torch.cat(drawn)
