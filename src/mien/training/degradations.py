"""What real photos bring to a face (light, color casts, blur, noise, JPEG-like blocks), and what drawings do to it.

An encoder that is trained on such images, and must reconstruct the undegraded ones, copes with everyday photos, and
turns a drawing into a plausible face.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def degrade(images: Tensor, share: float, g: torch.Generator) -> Tensor:
    """Degrade `share` of the images [N, 3, R, R] in [-1, 1], each degradation with its own chance.

    Nothing is moved: a feature code can only say where things are if they are where they were seen. `g` is on the images'
    device: nothing waits, and all shapes are fixed.
    """
    n, _, r, _ = images.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=g, device=g.device) * (high - low) + low

    def chance(p: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=g, device=g.device) < p

    # Light: contrast and brightness, color cast, side light, saturation.
    x = torch.where(chance(0.6), images * uniform(0.6, 1.3, 1, 1, 1) + uniform(-0.3, 0.3, 1, 1, 1), images)
    x = torch.where(chance(0.4), x * uniform(0.8, 1.2, 3, 1, 1) + uniform(-0.15, 0.15, 3, 1, 1), x)
    ramp = torch.linspace(-1, 1, r, device=g.device).reshape(1, 1, 1, r)
    x = torch.where(chance(0.3), x + ramp * uniform(-0.3, 0.3, 1, 1, 1), x)
    gray = x.mean(dim=1, keepdim=True)
    x = torch.where(chance(0.3), gray + (x - gray) * uniform(0.0, 1.6, 1, 1, 1), x)
    # Poor images: blur by shrinking, noise.
    small = F.interpolate(F.avg_pool2d(x, 2), size=r, mode="bilinear", align_corners=False)
    x = torch.where(chance(0.3), small, x)
    noise = torch.randn(x.shape, generator=g, device=g.device)
    x = torch.where(chance(0.3), x + noise * uniform(0.02, 0.15, 1, 1, 1), x)
    # Drawings: few tones, dark outlines, flat color regions.
    levels = uniform(2, 6, 1, 1, 1).floor()
    x = torch.where(chance(0.15), (x * levels / 2).round() * 2 / levels, x)
    luma = x.mean(1, keepdim=True)
    edges = (F.avg_pool2d(luma, 5, 1, 2) - luma).abs()
    lines = 1 - (edges * uniform(6, 20, 1, 1, 1)).clamp(0, 2)
    x = torch.where(chance(0.1), lines.expand_as(x), x)
    x = torch.where(chance(0.1), torch.minimum(x, lines), x)
    return torch.where(chance(share), x.clamp(-1, 1), images)
