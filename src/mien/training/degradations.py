"""What real photos bring to a face (light, colour casts, blur, noise, JPEG-like blocks), and what drawings do to it.

An encoder that sees its training pictures so, and has to answer with the undisturbed ones, holds for photos as they come, and
answers a drawing with a plausible face.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def disturb(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """What real photos (and drawings) do to a face, each with its own chance, on `share` of the pictures [N, 3, R, R].

    Nothing is moved: a detail map can only say where things are if they are where they were seen.

    `generator` is on the CPU.
    """
    (n, _, r, _), device = pictures.shape, pictures.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator).to(device) * (high - low) + low

    def chance(p: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=generator).to(device) < p

    # Light: contrast, brightness, gamma, colour cast, side light, saturation.
    x = torch.where(chance(0.6), pictures * uniform(0.6, 1.3, 1, 1, 1) + uniform(-0.3, 0.3, 1, 1, 1), pictures)
    x = torch.where(chance(0.4), x * uniform(0.8, 1.2, 3, 1, 1) + uniform(-0.15, 0.15, 3, 1, 1), x)
    ramp = torch.linspace(-1, 1, r, device=device).reshape(1, 1, 1, r)
    x = torch.where(chance(0.3), x + ramp * uniform(-0.3, 0.3, 1, 1, 1), x)
    grey = x.mean(dim=1, keepdim=True)
    x = torch.where(chance(0.3), grey + (x - grey) * uniform(0.0, 1.6, 1, 1, 1), x)
    # Poor pictures: blur by shrinking, noise, flat blocks as of strong JPEG.
    small = F.interpolate(F.interpolate(x, size=r // 2, mode="area"), size=r, mode="bilinear", align_corners=False)
    x = torch.where(chance(0.3), small, x)
    x = torch.where(chance(0.3), x + torch.randn(x.shape, generator=generator).to(device) * uniform(0.02, 0.15, 1, 1, 1), x)
    # Drawings: few tones, dark outlines, flat colour regions.
    levels = uniform(2, 6, 1, 1, 1).floor()
    x = torch.where(chance(0.15), (x * levels / 2).round() * 2 / levels, x)
    edges = (F.avg_pool2d(x.mean(1, keepdim=True), 5, 1, 2) - x.mean(1, keepdim=True)).abs()
    lines = 1 - (edges * uniform(6, 20, 1, 1, 1)).clamp(0, 2)
    x = torch.where(chance(0.1), lines.expand_as(x), x)
    x = torch.where(chance(0.1), torch.minimum(x, lines), x)
    x = x.clamp(-1, 1)
    return torch.where(chance(share), x, pictures)
