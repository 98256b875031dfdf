"""Interpolation between faces: straight lines in W."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def steps_between(codes: Tensor, frames: int) -> Tensor:
    """[N - 1, frames, num_ws, w_dim]: from each of `codes` [N, num_ws, w_dim] to the next in equal steps, both ends included.

    Raises `ValueError` for fewer than two codes or frames.
    """
    if len(codes) < 2 or frames < 2:
        raise ValueError(f"a way needs two codes and two frames, got {len(codes)} and {frames}")
    share = torch.linspace(0, 1, frames, device=codes.device)[:, None, None]
    return torch.stack([torch.lerp(a, b, share) for a, b in pairwise(codes)])


def round_trip(codes: Tensor, frames: int) -> Tensor:
    """[N * frames, num_ws, w_dim]: through all `codes` and back to the first, `frames` images from one to the next."""
    return steps_between(torch.cat([codes, codes[:1]]), frames + 1)[:, :-1].flatten(0, 1)
