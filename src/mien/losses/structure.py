"""Structure loss (Back 2021, equation 1): the low-resolution layers of a fine-tuned generator stay close to the source's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.models.generator import Noise, SynthesisNetwork


def structure_loss(
    source: SynthesisNetwork,
    target: SynthesisNetwork,
    source_codes: Tensor,
    target_codes: Tensor,
    noise: Noise,
    resolutions: Sequence[int],
    *,
    on: Literal["features", "rgb"] = "features",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Sum over `resolutions` of the mean squared difference between the two networks' blocks; exactly 0 for equal networks.

    Both get the same `noise`; codes are W+ [N, num_ws, w_dim]. `rgb` compares images up to each block instead of features.
    Nothing above the largest resolution is computed, and the source has no gradient.
    """
    compute = _features if on == "features" else _images
    with torch.no_grad():
        wanted = compute(source, source_codes, noise, resolutions, dtype)
    found = compute(target, target_codes, noise, resolutions, dtype)
    losses = [F.mse_loss(found[r].float(), wanted[r].float()) for r in resolutions]
    return torch.stack(losses).sum()


def _features(
    network: SynthesisNetwork, codes: Tensor, noise: Noise, resolutions: Sequence[int], dtype: torch.dtype
) -> dict[int, Tensor]:
    return network.features(network.styles(codes), noise, resolutions, dtype)


def _images(
    network: SynthesisNetwork, codes: Tensor, noise: Noise, resolutions: Sequence[int], dtype: torch.dtype
) -> dict[int, Tensor]:
    styles, found = network.styles(codes), {}
    x, img = network.block(4).start(styles.batch, dtype), None
    for block, maps in network.blocks(noise):
        if block.resolution > max(resolutions):
            break
        x, img = block(x, img, styles, maps)
        if block.resolution in resolutions:
            assert img is not None
            found[block.resolution] = img
    return found
