"""Functions over many images, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_batches(
    function: Callable[[Tensor], Tensor], images: Tensor, batch: int = 16, tick: Callable[[int], None] | None = None
) -> Tensor:
    """`function` over `images` [N, ...] in batches, without gradients, as one tensor; `tick` gets each batch's length."""
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    found = []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            found.append(function(images[start : start + batch]))
            if tick is not None:
                tick(len(found[-1]))
    return torch.cat(found)
