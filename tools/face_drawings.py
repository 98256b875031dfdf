"""Faces drawn over: what makes a network that learned from photos work on drawings too. Used by the trainers in this folder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Bump:
    """Local displacements: [N, K] Gaussian bumps that push by `push` and magnify by `swell` around their centers."""

    center: Tensor  # [N, K, 2]
    radius: Tensor  # [N, K]
    push: Tensor  # [N, K, 2]
    swell: Tensor  # [N, K]

    def __call__(self, points: Tensor) -> Tensor:
        """Where a result's points [N, P, 2] are read from: their displacement [N, P, 2]."""
        away = points[:, :, None] - self.center[:, None]
        weight = torch.exp(-0.5 * away.square().sum(dim=3, keepdim=True) / self.radius[:, None, :, None].square())
        return (weight * (self.push[:, None] - self.swell[:, None, :, None] * away)).sum(dim=2)


def caricature(points: Tensor, rng: torch.Generator) -> Bump:
    """Large or small eyes, other distances between the features, a bent outline: what drawings do to a face."""
    n = len(points)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng)

    strength = torch.rand(n, 1, generator=rng)
    eyes = points[:, :2]
    swell_eyes = (0.3 * strength * normal(n, 1)).clamp(-0.3, 0.6).abs().expand(n, 2)
    features = torch.stack([eyes.mean(dim=1), points[:, 2], points[:, 3:].mean(dim=1)], dim=1)
    elsewhere = 0.5 + 0.25 * normal(n, 4, 2)
    radius = [torch.full((n, 2), 0.06), torch.full((n, 3), 0.10), 0.1 + 0.1 * torch.rand(n, 4, generator=rng)]
    push = [torch.zeros(n, 2, 2), 0.02 * strength[:, None] * normal(n, 7, 2)]
    swell = [swell_eyes, 0.2 * strength * normal(n, 3), torch.zeros(n, 4)]
    center = torch.cat([eyes, features, elsewhere], dim=1)
    return Bump(center, torch.cat(radius, dim=1), torch.cat(push, dim=1), torch.cat(swell, dim=1))


def bend(images: Tensor, points: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Caricatures of images [N, 1, S, S], some narrower or wider, and where their points [N, P, 2] (units of the side) go."""
    n, _, size, _ = images.shape
    some = torch.rand(n, generator=rng) < 0.5
    aspect = torch.exp((torch.rand(n, generator=rng) * 0.3 - 0.15) * some)
    stretch = torch.stack([aspect, 1 / aspect], dim=1)[:, None]
    bumps = caricature(points, rng)
    # The map is smooth: it is worked out at every fourth pixel.
    coarse = size // 4
    line = (torch.arange(coarse) + 0.5) / coarse
    u, v = torch.meshgrid(line, line, indexing="xy")
    where = (torch.stack([u.flatten(), v.flatten()], dim=1) - 0.5) * stretch + 0.5
    source = where + bumps(where)
    source = F.interpolate((source * 2 - 1).mT.reshape(n, 2, coarse, coarse), size=(size, size), mode="bilinear")
    bent = F.grid_sample(images, source.permute(0, 2, 3, 1), padding_mode="reflection", align_corners=False)
    # The points go the other way: the displacement is inverted by fixed-point iteration.
    seen = points
    for _ in range(6):
        seen = points - bumps(seen)
    return bent, (seen - 0.5) / stretch + 0.5


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [N, 1, H, W]."""
    reach = max(1, math.ceil(2.5 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    x = F.pad(x, (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(x, taps[None, None, :, None]), taps[None, None, None, :])


def to_gray(faces: Tensor, rng: torch.Generator) -> Tensor:
    """[N, 3, S, S] uint8 -> [N, 1, S, S] in about [-1, 1]: a third as the network does it, others through color filters."""
    n = len(faces)
    share = torch.rand(n, 3, generator=rng) * 1.6 - 0.3
    share = torch.where(torch.rand(n, 1, generator=rng) < 0.35, torch.ones(n, 3), share)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=0.7)
    return torch.einsum("nchw,nc->nhw", faces.float() / 127.5 - 1, share)[:, None]


def draw(images: Tensor, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    """Draw gray images [N, 1, S, S] over: ink, pencil, flat tones, paint; a third stay photos.

    `scale` is the width of a line: 1 suits a face of 64 pixels.
    """
    parts = list(images.chunk(8))

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=rng))

    for index, part in enumerate(parts):
        kind = int(torch.randint(0, 8, (), generator=rng))
        contrast = part.std(dim=(2, 3), keepdim=True) + 0.05
        if kind == 0:  # ink: difference of Gaussians with a soft threshold (Winnemoeller et al. 2012)
            sigma, tau = uniform(0.4, 1.2), uniform(0.93, 1.0)
            lines = blur(part, scale * sigma) - tau * blur(part, scale * sigma * 1.6)
            ink = torch.tanh(uniform(0.8, 3) * lines / (lines.std(dim=(2, 3), keepdim=True) + 1e-3) + uniform(0.2, 0.8))
            part = ink.clamp(max=uniform(0.5, 1.0)) + uniform(0, 0.7) * torch.tanh(3 * part)
        elif kind == 1:  # pencil: color dodge with the blurred negative
            light = (part / 2 + 0.5).clamp(0, 1)
            part = (light / (blur(light, scale * uniform(1.0, 4.0)) + 0.02)).clamp(0, 1.2).pow(uniform(1, 6))
        elif kind == 2:  # flat tones
            levels = uniform(1.5, 4)
            part = torch.round(blur(part, scale * uniform(0.4, 1.2)) * levels + uniform(-0.5, 0.5)) / levels
        elif kind == 3:  # flat tones with outlines
            levels = uniform(1, 3)
            smooth = blur(part, scale * uniform(0.5, 1.0))
            edges = (smooth - blur(smooth, scale * 1.2)) / contrast
            part = torch.round(blur(part, scale) * levels) / levels + uniform(3, 10) * edges.clamp(max=0)
        elif kind == 4:  # paint: smeared and sharpened again
            smooth = blur(part, scale * uniform(0.8, 1.6))
            part = (smooth + uniform(1, 4) * (smooth - blur(smooth, scale * 2.0))).clamp(-1.2, 1.2)
        if uniform(0, 1) < 0.1:
            part = -part
        parts[index] = part
    return torch.cat(parts).clamp(-1, 1)


def weather(crops: Tensor, rng: torch.Generator) -> Tensor:
    """Other light, contrast, noise, blur and things in the way, on gray crops [N, 1, S, S]; the result is in [-1, 1]."""
    n = len(crops)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=rng))

    # Light from a side, tone curve, brightness, contrast and noise, each image its own.
    line = torch.linspace(-1, 1, crops.shape[3])
    side = 0.35 * torch.randn(n, 2, generator=rng)
    crops = crops + side[:, 0, None, None, None] * line[None, None, :, None] + side[:, 1, None, None, None] * line
    crops = crops * torch.exp(0.35 * torch.randn(n, 1, 1, 1, generator=rng)) + 0.25 * torch.randn(n, 1, 1, 1, generator=rng)
    noise = torch.randn(crops.shape, generator=rng)
    crops = crops + 0.10 * torch.rand(n, 1, 1, 1, generator=rng).square() * noise
    if uniform(0, 1) < 0.3:
        crops = blur(crops, uniform(0.4, 1.3))
    # A hand, hair or glasses' shine over some faces.
    for index in torch.nonzero(torch.rand(n, generator=rng) < 0.15)[:, 0].tolist():
        y, x = (int(uniform(0, crops.shape[2] * 0.8)) for _ in range(2))
        h, w = (int(uniform(4, crops.shape[2] * 0.35)) for _ in range(2))
        crops[index, :, y : y + h, x : x + w] = uniform(-1, 1)
    return crops.clamp(-1, 1)
