"""Rendering with two networks at once: style strength by feature interpolation (JoJoGAN, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.latents import StyleCodes
from mien.models.generator import Noise, SynthesisNetwork
from mien.ops import upsample2


def render_between(
    base: SynthesisNetwork, tuned: SynthesisNetwork, base_styles: StyleCodes, tuned_styles: StyleCodes, noise: Noise,
    strength: float, dtype: torch.dtype = torch.float32, detail: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Picture [N, 3, R, R] whose features lie `strength` of the way from the base model's to the tuned model's.

    0 is the base model's face exactly, 1 the tuned model's, beyond 1 exaggerates. After each block
    `x = (1 - a) * base(x_base) + a * tuned(x)`; the RGB of each block is interpolated in the same way. `detail`, what codes
    cannot say of a photo, is added to the features of both.
    """
    if strength == 0:
        return base.render(base_styles, noise, dtype, detail)
    if strength == 1:
        return tuned.render(tuned_styles, noise, dtype, detail)
    x_base = base.block(4).start(base_styles.batch, dtype)
    x = tuned.block(4).start(tuned_styles.batch, dtype)
    img: Tensor | None = None
    for (lower, maps), (upper, _) in zip(base.blocks(noise), tuned.blocks(noise), strict=True):
        x_base = lower.features(x_base, base_styles, maps, detail)
        x = torch.lerp(x_base, upper.features(x, tuned_styles, maps, detail), strength)
        rgb = torch.lerp(lower.rgb(x_base, None, base_styles), upper.rgb(x, None, tuned_styles), strength)
        img = rgb if img is None else upsample2(img) + rgb
    assert img is not None
    return img
