"""One adversarial training step of StyleGAN2, with lazy R1 and path length, style mixing and a moving average.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"; defaults of StyleGAN2-ADA where they differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor, nn

from mien.latents import broadcast
from mien.losses.adversarial import discriminator_loss, generator_loss, path_lengths, r1_penalty
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator

Augment = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class AdversarialConfig:
    """Numbers of the adversarial loop."""

    batch: Annotated[int, "pictures per step"] = 32
    learning_rate: Annotated[float, "Adam's rate for both networks"] = 2.5e-3
    r1_gamma: Annotated[float, "weight of the R1 penalty"] = 0.1
    r1_interval: Annotated[int, "steps from one R1 penalty to the next"] = 16
    pl_weight: Annotated[float, "weight of path length regularisation; 0: none"] = 0.0
    pl_interval: Annotated[int, "steps from one path length penalty to the next"] = 8
    pl_batch_shrink: Annotated[int, "the path length batch is this many times smaller"] = 2
    pl_decay: Annotated[float, "how fast the mean path length follows"] = 0.01
    mixing: Annotated[float, "probability of style mixing"] = 0.9
    ema_kimg: Annotated[float, "half-life of the moving average in thousands of pictures"] = 10.0
    ema_rampup: Annotated[float, "the half-life is at most this share of the pictures seen; 0: no warm-up"] = 0.05
    bf16: Annotated[bool, "convolutions in bfloat16; penalties stay in float32"] = False
    mirror: Annotated[bool, "flip training pictures at random"] = True


@dataclass
class Losses:
    """What one step measured."""

    generator: float = 0.0
    discriminator: float = 0.0
    real_sign: float = 0.0
    """Mean sign of the real logits: r_t of the ADA paper."""
    extra: dict[str, float] = field(default_factory=dict)


def _adam(parameters: list[nn.Parameter], rate: float, interval: int) -> torch.optim.Adam:
    # Lazy regularisation adds one step in `interval`: rate and momenta are scaled to keep the same time scale.
    c = interval / (interval + 1) if interval else 1.0
    return torch.optim.Adam(parameters, lr=rate * c, betas=(0.0, 0.99**c), eps=1e-8, fused=True)


class AdversarialTrainer:
    """The networks, their optimisers and the moving average; `step` does one update of each."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, config: AdversarialConfig, *,
        augment: Augment | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.generator, self.discriminator, self.config, self.augment = generator, discriminator, config, augment
        self.ema = copy.deepcopy(generator).eval().requires_grad_(False)
        self.random = torch.Generator().manual_seed(seed)
        g_interval = config.pl_interval if config.pl_weight else 0
        self.g_adam = _adam(list(generator.parameters()), config.learning_rate, g_interval)
        self.d_adam = _adam(list(discriminator.parameters()), config.learning_rate, config.r1_interval)
        self.images, self.steps, self.pl_mean = 0, 0, 0.0
        self.dtype = torch.bfloat16 if config.bf16 else torch.float32

    def codes(self, count: int) -> Tensor:
        """Fresh W+ codes [count, num_ws, w_dim] with style mixing; the mean code follows them."""
        g = self.generator
        z = torch.randn(2, count, g.config.z_dim, generator=self.random)
        w_plus = broadcast(g.mapping(z[0]), g.num_ws)
        g.mapping.w_avg.lerp_(w_plus[:, 0].detach().mean(dim=0), 0.002 * count / 32)
        if torch.rand([], generator=self.random) < self.config.mixing:
            cut = int(torch.randint(1, g.num_ws, [], generator=self.random))
            w_plus = torch.cat([w_plus[:, :cut], broadcast(g.mapping(z[1]), g.num_ws)[:, cut:]], dim=1)
        return w_plus

    def render(self, w_plus: Tensor, dtype: torch.dtype) -> Tensor:
        """Pictures of the codes with fresh noise."""
        noise = self.generator.synthesis.noise("random", w_plus.shape[0], self.random)
        pictures: Tensor = self.generator(w_plus, noise, dtype)
        return pictures

    def judge(self, pictures: Tensor, dtype: torch.dtype) -> Tensor:
        """Logits of augmented pictures."""
        if self.augment is not None:
            pictures = self.augment(pictures, self.random)
        logits: Tensor = self.discriminator(pictures, dtype)
        return logits

    def step(self, reals: Tensor) -> Losses:
        """One update of generator and discriminator with `reals` [batch, 3, R, R] in [-1, 1]."""
        c, losses = self.config, Losses()

        self.discriminator.requires_grad_(False)
        loss = generator_loss(self.judge(self.render(self.codes(len(reals)), self.dtype), self.dtype))
        self._update(self.g_adam, loss)
        losses.generator = loss.item()
        if c.pl_weight and self.steps % c.pl_interval == 0:
            losses.extra["path_length"] = self._path_length_step(len(reals) // c.pl_batch_shrink)
        self.discriminator.requires_grad_(True)

        with torch.no_grad():
            fakes = self.render(self.codes(len(reals)), self.dtype)
        real_logits = self.judge(reals, self.dtype)
        loss = discriminator_loss(real_logits, self.judge(fakes, self.dtype))
        self._update(self.d_adam, loss)
        losses.discriminator = loss.item()
        losses.real_sign = real_logits.detach().sign().mean().item()
        if c.r1_gamma and self.steps % c.r1_interval == 0:
            reals = reals.detach().requires_grad_(True)
            penalty = r1_penalty(self.judge(reals, torch.float32), reals)
            losses.extra["r1"] = penalty.item()
            self._update(self.d_adam, penalty * (c.r1_gamma / 2 * c.r1_interval))

        self.steps += 1
        self.images += len(reals)
        self._average(len(reals))
        return losses

    def _path_length_step(self, count: int) -> float:
        w_plus = self.codes(count)
        lengths = path_lengths(self.render(w_plus, torch.float32), w_plus, self.random)
        self.pl_mean += self.config.pl_decay * (lengths.mean().item() - self.pl_mean)
        penalty = (lengths - self.pl_mean).square().mean()
        self._update(self.g_adam, penalty * (self.config.pl_weight * self.config.pl_interval))
        return lengths.mean().item()

    @staticmethod
    def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    @torch.no_grad()
    def _average(self, count: int) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup:
            half_life = min(half_life, self.images * self.config.ema_rampup)
        weight = 1 - 0.5 ** (count / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), weight)
        for mine, live in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            mine.copy_(live)
