"""Rendering with two networks at once: style strength by feature interpolation (JoJoGAN, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.editing.strength import Strength
from mien.latents import StyleCodes
from mien.models.generator import Noise, SynthesisNetwork
from mien.ops import upsample2


def render_between(
    base: SynthesisNetwork, tuned: SynthesisNetwork, base_styles: StyleCodes, tuned_styles: StyleCodes, noise: Noise,
    strength: float | Strength, dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """Picture [N, 3, R, R] whose features lie `strength` of the way from the base model's to the tuned model's.

    0 is the base model's face exactly, 1 the tuned model's, beyond 1 exaggerates; a `Strength` has a number per band. After
    each block `x = (1 - a) * base(x_base) + a * tuned(x)`; the RGB of each block is interpolated in the same way.
    """
    resolution = base.config.resolution
    amounts = [Strength.of(strength).at(block, resolution) for block in base.resolutions]
    if not any(amounts):
        return base.render(base_styles, noise, dtype)
    if all(amount == 1 for amount in amounts):
        return tuned.render(tuned_styles, noise, dtype)
    x_base = base.block(4).start(base_styles.batch, dtype)
    x = tuned.block(4).start(tuned_styles.batch, dtype)
    img: Tensor | None = None
    for (lower, maps), (upper, _), amount in zip(base.blocks(noise), tuned.blocks(noise), amounts, strict=True):
        x_base = lower.features(x_base, base_styles, maps)
        x = torch.lerp(x_base, upper.features(x, tuned_styles, maps), amount)
        rgb = torch.lerp(lower.rgb(x_base, None, base_styles), upper.rgb(x, None, tuned_styles), amount)
        img = rgb if img is None else upsample2(img) + rgb
    assert img is not None
    return img
