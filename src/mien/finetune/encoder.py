"""Training the compact encoder for a finished generator: real pictures through the generator and back, and codes it knows.

Two halves per step. Real pictures, disturbed as real photos are (light, colour casts, blur, noise, JPEG-like blocks,
posterised and drawn-over versions), must be answered with a code that renders the *undisturbed* picture.
Renderings of mapped codes must be answered with those codes. A pull towards the spread of mapped codes keeps the answers
inside the generator's world, so that a drawing is answered with a plausible face (Tov et al. 2021, "Designing an encoder").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.latents import broadcast
from mien.losses.features import FrozenFeatures, feature_distance, loss_resolutions, multiscale_l1
from mien.models.bundle import Model
from mien.models.compact_encoder import CompactEncoder


@dataclass(frozen=True)
class EncoderConfig:
    """Numbers of encoder training."""

    batch: Annotated[int, "pictures per step, half of them real, half rendered"] = 32
    learning_rate: Annotated[float, "Adam's rate; it falls to zero along a cosine over the planned time"] = 1e-3
    pixels: Annotated[float, "weight of the L1 distance at three scales"] = 2.0
    features: Annotated[float, "weight of the discriminator-feature distance"] = 1.0
    codes: Annotated[float, "weight of the distance to the known codes of renderings"] = 1.0
    prior: Annotated[float, "weight of the pull towards the spread of mapped codes"] = 0.02
    flat: Annotated[float, "weight of the differences between the rows of a code"] = 0.02
    disturb: Annotated[float, "share of pictures that are disturbed"] = 0.7
    bf16: Annotated[bool, "convolutions in bfloat16"] = False


class EncoderTrainer:
    """Owns the encoder's optimiser; `step` does one update."""

    def __init__(self, model: Model, encoder: CompactEncoder, config: EncoderConfig, *, seed: int = 0) -> None:
        if model.discriminator is None:
            raise ValueError("encoder training needs the model's discriminator for its feature distance")
        self.model, self.encoder, self.config = model, encoder.train().requires_grad_(True), config
        self.random = torch.Generator().manual_seed(seed)
        self.dtype = torch.bfloat16 if config.bf16 else torch.float32
        self.judge = FrozenFeatures(model.discriminator, loss_resolutions(model.resolution), self.dtype)
        self.adam = torch.optim.Adam(encoder.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
        with torch.no_grad():
            z = torch.randn(4096, model.generator.config.z_dim, generator=self.random)
            w = model.generator.mapping(z)
            self.spread = w.std(dim=0)  # [w_dim]

    def step(self, reals: Tensor, progress: float = 0.0) -> dict[str, float]:
        """One update with `reals` [N, 3, R, R]; `progress` (0..1) is the share of the planned time that has passed."""
        c, g = self.config, self.model.generator
        for group in self.adam.param_groups:
            group["lr"] = c.learning_rate * min(1.0, 0.5 * (1 + math.cos(math.pi * progress)) + 0.01)
        with torch.no_grad():
            z = torch.randn(2, c.batch - len(reals), g.config.z_dim, generator=self.random)
            known = broadcast(g.mapping(z[0]), g.num_ws).clone()
            cut = int(torch.randint(1, g.num_ws, [], generator=self.random))
            half = len(known) // 2
            known[:half, cut:] = g.mapping(z[1])[:half, None]
            rendered = g(known, g.synthesis.noise("random", len(known), self.random), self.dtype).clamp(-1, 1)
        targets = torch.cat([reals, rendered])
        seen = disturb(targets, c.disturb, self.random)
        start = g.mapping.w_avg.expand(len(targets), g.num_ws, -1)
        with torch.autocast("cpu", torch.bfloat16, enabled=c.bf16):
            codes = self.encoder(seen, start)
        codes = codes.float()
        pictures = g(codes, g.synthesis.noise("const"), self.dtype)
        with torch.no_grad():
            wanted = self.judge(targets)
        losses = {
            "pixels": c.pixels * multiscale_l1(pictures, targets, scales=3),
            "features": c.features * feature_distance(self.judge(pictures), wanted),
            "codes": c.codes * ((codes[len(reals) :] - known) / self.spread).square().mean(),
            "prior": c.prior * ((codes - start) / self.spread).square().mean(),
            "flat": c.flat * ((codes - codes.mean(dim=1, keepdim=True)) / self.spread).square().mean(),
        }
        self.adam.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.adam.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}


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
