"""Rendering with two networks at once: style strength by feature interpolation (JoJoGAN, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.editing.config import Strength, is_fine
from mien.editing.control import Steering
from mien.latents import Codes, StyleCodes
from mien.models.generator import Noise, SynthesisNetwork
from mien.ops import upsample2


@dataclass(frozen=True)
class Drawing:
    """What one of two networks draws."""

    network: SynthesisNetwork
    styles: StyleCodes


def render_between(
    base: Drawing, tuned: Drawing, noise: Noise, strength: float | Strength, dtype: torch.dtype = torch.float32,
    feature_code: Tensor | None = None, kept: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Image [N, 3, R, R] whose features lie `strength` of the way from the base model's to the tuned model's.

    0 is the base model's face exactly, 1 the tuned model's, beyond 1 exaggerates; a `Strength` has a number per band. After
    each block `x = (1 - a) * base(x_base) + a * tuned(x)`; the RGB of each block is interpolated in the same way.
    `feature_code`, what codes cannot say of a photo, is added to the features of both.

    `kept` [N, 1, h, w] in [0, 1] is where the features of the blocks below `fine` stay the base model's whatever the strength:
    the shape there is the base model's, line and color are the style's.
    """
    resolution = base.network.config.resolution
    amounts = [Strength.of(strength).at(block, resolution) for block in base.network.resolutions]
    if not any(amounts):
        return base.network.synthesize(base.styles, noise, dtype, feature_code)
    if kept is None and all(amount == 1 for amount in amounts):
        return tuned.network.synthesize(tuned.styles, noise, dtype, feature_code)
    x_base = base.network.block(4).start(base.styles.batch, dtype)
    x = tuned.network.block(4).start(tuned.styles.batch, dtype)
    img: Tensor | None = None
    for (lower, maps), (upper, _), amount in zip(base.network.blocks(noise), tuned.network.blocks(noise), amounts, strict=True):
        x_base = lower.features(x_base, base.styles, maps, feature_code)
        own = upper.features(x, tuned.styles, maps, feature_code)
        if kept is None or is_fine(lower.resolution, resolution):
            x = torch.lerp(x_base, own, amount)
        else:
            x = torch.lerp(x_base, own, (amount * (1 - _resized(kept, lower.resolution))).to(own))
        rgb = torch.lerp(lower.rgb(x_base, None, base.styles), upper.rgb(x, None, tuned.styles), amount)
        img = rgb if img is None else upsample2(img) + rgb
    assert img is not None
    return img


def _resized(kept: Tensor, size: int) -> Tensor:
    return F.interpolate(kept, (size, size), mode="bilinear", antialias=True, align_corners=False)


def render_codes(
    base: SynthesisNetwork, tuned: SynthesisNetwork | None, codes: Codes, strength: float | Strength, steering: Steering | None,
    dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Images [N, 3, R, R] on the CPU by the base alone (`tuned` None), or by both at a strength.

    They are drawn one at a time: the batch does not change the bytes.
    """
    noise = base.noise("const")
    device = next(base.parameters()).device
    images = []
    for code in codes.single():
        w_plus = code.w_plus.to(device)
        feature_code = None if code.feature_code is None else code.feature_code.to(device)
        styles = base.styles(w_plus)
        if tuned is None:
            image = base.synthesize(styles, noise, dtype, feature_code)
        else:
            own, kept = tuned.styles(w_plus), None
            if steering is not None:
                own, kept = steering.steer(tuned, own), steering.kept(base, styles, noise, dtype)
            image = render_between(Drawing(base, styles), Drawing(tuned, own), noise, strength, dtype, feature_code, kept)
        images.append(image.float().cpu())
    return torch.cat(images)
