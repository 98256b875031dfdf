"""Random faces and the ways between them: codes of seeds, and straight lines in W."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mien.latents import broadcast, truncate
from mien.models.generator import Generator
from mien.runtime import seeded


@torch.no_grad()
def random_codes(generator: Generator, count: int, *, seed: int = 0, psi: float = 0.7) -> Tensor:
    """W+ codes [count, num_ws, w_dim] of random faces, truncated by `psi`; the first ones do not depend on `count`."""
    z = torch.randn(count, generator.config.z_dim, generator=seeded(seed)).to(generator.mapping.w_avg.device)
    return truncate(broadcast(generator.mapping(z), generator.num_ws), generator.mapping.w_avg, psi)


def codes_of_seeds(generator: Generator, seeds: Sequence[int], *, psi: float = 0.7) -> Tensor:
    """W+ codes [N, num_ws, w_dim]: of each seed the first random face."""
    return torch.cat([random_codes(generator, 1, seed=seed, psi=psi) for seed in seeds])


def steps_between(codes: Tensor, frames: int) -> Tensor:
    """[N - 1, frames, num_ws, w_dim]: from each of `codes` [N, num_ws, w_dim] to the next in equal steps, both ends included.

    Raises `ValueError` for fewer than two codes or frames.
    """
    if len(codes) < 2 or frames < 2:
        raise ValueError(f"a way needs two codes and two frames, got {len(codes)} and {frames}")
    share = torch.linspace(0, 1, frames, device=codes.device)[:, None, None]
    return torch.stack([torch.lerp(a, b, share) for a, b in pairwise(codes)])


def round_trip(codes: Tensor, frames: int) -> Tensor:
    """[N * frames, num_ws, w_dim]: through all `codes` and back to the first, `frames` pictures from one to the next."""
    return steps_between(torch.cat([codes, codes[:1]]), frames + 1)[:, :-1].flatten(0, 1)
