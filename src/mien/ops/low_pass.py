"""StyleGAN2's low-pass filter itself, the outer product of [1, 3, 3, 1] / 8 with itself, and the sizes that it gives."""

from __future__ import annotations

import torch
from torch import Tensor

TAPS = (0.125, 0.375, 0.375, 0.125)
SIZE = len(TAPS)

Pad = tuple[int, int]


def kernel(like: Tensor, gain: float) -> Tensor:
    """The filter [4, 4] on the device and in the type of `like`; its sum is `gain`."""
    taps = torch.full((SIZE,), TAPS[0], device=like.device)
    taps[1:3] = TAPS[1]  # made there: a copy from the host would have no place in a CUDA graph
    return (torch.outer(taps, taps) * gain).to(like.dtype)


def filtered_size(size: int, up: int, down: int, pad: Pad) -> int:
    """How many pixels a side of `size` has after the filter."""
    return (size * up + pad[0] + pad[1] - SIZE) // down + 1
