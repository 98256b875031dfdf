"""The losses of an adversarial training step, each a function of a random generator alone: what a phase differentiates.

Everything they need lies on one device and nothing waits for it; with `fixed_shapes` in the augmentation, all shapes are the
same at every call. So they run as they are on a CPU, and recorded in a CUDA graph on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from mien.latents import Codes, broadcast
from mien.losses.adversarial import discriminator_loss, generator_loss, path_lengths, r1_penalty
from mien.losses.structure import structure_loss
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator
from mien.training.augment import AdaptiveAugment
from mien.training.config import AdversarialConfig
from mien.training.encoder import Reconstruction
from mien.training.freeze import Plan

DrawImages = Callable[[int, torch.Generator], Tensor]
"""(count, generator on the networks' device) -> training images [count, 3, R, R] in [-1, 1], on that device."""
Measured = dict[str, Tensor]
"""What was measured, as tensors on the networks' device: nothing waits for them until they are read."""


@dataclass
class Networks:
    """What takes part in a training; all on one device."""

    generator: Generator
    discriminator: Discriminator
    reconstruction: Reconstruction | None = None
    """The encoder beside the generator."""
    source: Generator | None = None
    """What FreezeSG and structure loss compare with."""


@dataclass
class Objectives:
    """Losses of one micro-batch. `pl_mean` is the mean path length so far, a scalar on the device."""

    networks: Networks
    config: AdversarialConfig
    plan: Plan
    augment: AdaptiveAugment | None
    draw: DrawImages
    micro_batch: int
    pl_mean: Tensor

    def __post_init__(self) -> None:
        self.dtype = torch.bfloat16 if self.config.bf16 else torch.float32
        self.penalty_dtype = self.dtype if self.config.bf16_penalties else torch.float32
        rebuilt = self.networks.reconstruction
        self.own = self.micro_batch - (rebuilt.count(self.micro_batch) if rebuilt else 0)
        """Images of a micro-batch that are drawn from fresh codes; the others reconstruct training images."""

    def generator(self, g: torch.Generator) -> tuple[Tensor, Measured]:
        """What the generator and the encoder learn from; `w_mean` [w_dim] is the mean mapped code."""
        n, rebuilt, codes = self.networks, self.networks.reconstruction, None
        own, source, w = self.codes(self.own, g)
        noise = self.noise(self.micro_batch, g)
        if rebuilt is not None:
            reals = self.draw(self.micro_batch - self.own, g)
            codes = rebuilt.codes(reals, n.generator.mapping.w_avg, g, self.dtype)
        images = self.generate(own, codes, noise)
        loss = generator_loss(self._logits(images, g, self.dtype))
        measured = {"generator": loss, "w_mean": w.detach().mean(dim=0)}
        if rebuilt is not None and codes is not None:
            w_avg = n.generator.mapping.w_avg
            losses = rebuilt.losses(images[self.own :], reals, codes, w, w_avg, n.discriminator, self.dtype)
            loss = loss + torch.stack(list(losses.values())).sum()
            measured |= losses
        if self.plan.structure_resolutions:
            assert source is not None
            structure = self._structure(own, source, noise)
            loss = loss + structure * self.plan.config.structure_weight
            measured["structure"] = structure
        return loss, measured

    def _structure(self, own: Tensor, source: Tensor, noise: list[Tensor | None]) -> Tensor:
        n, wants = self.networks, self.plan.config
        assert n.source is not None
        return structure_loss(
            n.source.synthesis, n.generator.synthesis, source, source if wants.structure_code == "source" else own,
            noise, self.plan.structure_resolutions, on=wants.structure_on, dtype=self.dtype,
        )  # fmt: skip

    def path(self, g: torch.Generator) -> tuple[Tensor, Measured]:
        """Path length regularization of the generator."""
        count = max(1, self.micro_batch // self.config.pl_batch_shrink)
        w_plus, _, _ = self.codes(count, g)
        if not w_plus.requires_grad:  # a frozen mapping: the path still starts at the codes
            w_plus = w_plus.detach().requires_grad_(True)
        images = self.networks.generator(w_plus, self.noise(count, g), self.penalty_dtype)
        lengths = path_lengths(images, w_plus, g)
        penalty = (lengths - self.pl_mean).square().mean()
        return penalty * (self.config.pl_weight * self.config.pl_interval), {"path_length": lengths.mean()}

    def discriminator(self, g: torch.Generator) -> tuple[Tensor, Measured]:
        """What the discriminator learns from."""
        with torch.no_grad():
            reals = self.draw(self.micro_batch, g)
            own, _, _ = self.codes(self.own, g)
            rebuilt, w_avg = self.networks.reconstruction, self.networks.generator.mapping.w_avg
            codes = None if rebuilt is None else rebuilt.codes(reals[self.own :], w_avg, g, self.dtype)
            fakes = self.generate(own, codes, self.noise(self.micro_batch, g))
        real_logits = self._logits(reals, g, self.dtype)
        fake_logits = self._logits(fakes, g, self.dtype)
        loss = discriminator_loss(real_logits, fake_logits)
        return loss, {
            "discriminator": loss, "real_sign": real_logits.sign().mean(),
            "real_logit": real_logits.mean(), "fake_logit": fake_logits.mean(),
        }  # fmt: skip

    def r1(self, g: torch.Generator) -> tuple[Tensor, Measured]:
        """The R1 penalty of the discriminator."""
        reals = self.draw(self.micro_batch, g).detach().requires_grad_(True)
        penalty = r1_penalty(self._logits(reals, g, self.penalty_dtype), reals)
        return penalty * (self.config.r1_gamma / 2 * self.config.r1_interval), {"r1": penalty}

    def codes(self, count: int, g: torch.Generator) -> tuple[Tensor, Tensor | None, Tensor]:
        """Fresh codes with style mixing: [count, num_ws, w_dim] for the generator and for the source, and w [count, w_dim]."""
        n, rows, device = self.networks, self.networks.generator.num_ws, g.device
        z = torch.randn(2 * count, n.generator.config.z_dim, generator=g, device=device)
        mixed = torch.rand(count, generator=g, device=device) < self.config.mixing
        cut = torch.randint(1, rows, (count,), generator=g, device=device)
        cut = torch.where(mixed, cut, torch.full_like(cut, rows))
        own, w = mixed_codes(n.generator, z, cut)
        if n.source is None:
            return own, None, w
        with torch.no_grad():
            source, _ = mixed_codes(n.source, z, cut)
        kept = self.plan.source_rows
        return torch.cat([source[:, :kept], own[:, kept:]], dim=1) if kept else own, source, w

    def noise(self, count: int, g: torch.Generator) -> list[Tensor | None]:
        """Fresh noise maps [count, 1, R, R] for the layers that have noise."""
        if not self.config.noise:
            return self.networks.generator.synthesis.noise("none")
        maps = self.networks.generator.synthesis.noise("random", count, g)
        return [m if m is not None and m.shape[-1] >= self.config.noise_from else None for m in maps]

    def generate(self, own: Tensor, codes: Codes | None, noise: Sequence[Tensor | None]) -> Tensor:
        """Images of fresh codes and, behind them, of training images' codes.

        Only the first teach the noise strengths: a reconstruction is judged pixel by pixel, and noise can only be wrong there.
        """
        generator = self.networks.generator
        if codes is None:
            images: Tensor = generator(own, noise, self.dtype)
            return images
        feature_code = codes.feature_code
        if feature_code is not None:
            feature_code = torch.cat([feature_code.new_zeros(len(own), *feature_code.shape[1:]), feature_code])
        strengths = {
            name: torch.cat([p.expand(len(own)), p.detach().expand(len(codes.w_plus))]).view(-1, 1, 1, 1)
            for name, p in generator.named_parameters()
            if name.endswith("noise_strength") and p.requires_grad
        }
        values = (torch.cat([own, codes.w_plus]), noise, self.dtype, feature_code)
        joined: Tensor = functional_call(generator, strengths, values) if strengths else generator(*values)
        return joined

    def _logits(self, images: Tensor, g: torch.Generator, dtype: torch.dtype) -> Tensor:
        """The discriminator's logits for augmented images."""
        if self.augment is not None:
            images = self.augment(images, g)
        logits: Tensor = self.networks.discriminator(images, dtype)
        return logits


def mixed_codes(generator: Generator, z: Tensor, cut: Tensor) -> tuple[Tensor, Tensor]:
    """W+ codes [N, num_ws, w_dim] and w [N, w_dim] of the first half of `z` [2 N, z_dim]; rows from `cut` on: the second's."""
    rows = generator.num_ws
    first, second = generator.mapping(z).chunk(2)
    low = torch.arange(rows, device=z.device)[None, :, None] < cut[:, None, None]
    return torch.where(low, broadcast(first, rows), broadcast(second, rows)), first
