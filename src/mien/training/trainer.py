"""Adversarial training of StyleGAN2: lazy R1 and path length, style mixing, ADA, a moving average, plans with a frozen source.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" and "Training Generative Adversarial Networks with
Limited Data"; Back 2021, "Fine-Tuning StyleGAN2 for Cartoon Face Generation".

A step is a fixed number of micro-batches, and every micro-batch has random numbers of its own that follow from seed, step and
place. So the whole state of a run is its tensors and two counters, and it does not matter which process does which micro-batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mien.latents import Codes
from mien.losses.adversarial import discriminator_loss, generator_loss, path_lengths, r1_penalty
from mien.losses.structure import structure_loss
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator
from mien.training.augment import AdaptiveAugment
from mien.training.config import AdversarialConfig, PlanConfig
from mien.training.distributed import Processes, Streams
from mien.training.encoder import Reconstruction
from mien.training.freeze import Plan, make_plan, require, thaw, without_noise
from mien.training.optimizers import lazy_adam, moments_of, restore_moments
from mien.training.samples import mixed_codes

DrawPictures = Callable[[int, torch.Generator], Tensor]
"""(count, generator on the CPU) -> training pictures [count, 3, R, R] in [-1, 1] on the networks' device."""
Measured = dict[str, Tensor]
"""What one step measured, as scalars on the networks' device: nothing waits for them until they are read."""


class AdversarialTrainer:
    """The networks, their optimisers and the moving average; `step` does one update of each.

    All networks are on one device. `plan` says what is frozen; `source` is the network that FreezeSG and structure loss compare
    with. With several `processes` every one has a trainer of its own, made from the same weights.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, config: AdversarialConfig, *,
        augment: AdaptiveAugment | None = None, seed: int = 0, plan: Plan | None = None, source: Generator | None = None,
        reconstruction: Reconstruction | None = None, processes: Processes = Processes(),  # noqa: B008 (frozen)
    ) -> None:  # fmt: skip
        self.micro_batch = config.micro_batch or config.batch
        self.rounds = config.batch // self.micro_batch
        group = min(discriminator.config.mbstd_group, self.micro_batch)
        if config.batch % self.micro_batch or self.micro_batch % group or self.rounds % processes.count:
            raise ValueError(
                f"a batch of {config.batch} does not split into micro-batches of {self.micro_batch}, these into "
                f"minibatch-std groups of {group}, or the {self.rounds} micro-batches into {processes.count} processes"
            )
        self.generator, self.discriminator, self.config, self.augment = generator, discriminator, config, augment
        self.seed, self.processes = seed, processes
        self.plan = plan or make_plan(PlanConfig(), generator, discriminator, has_source=False)
        if self.plan.config.needs_source and source is None:
            raise ValueError("the plan compares with a source: give the source generator")
        if reconstruction is not None and (self.plan.config.needs_source or self.micro_batch < 2):
            raise ValueError("an encoder is trained without a source to compare with, and in micro-batches of at least 2")
        self.source = None if source is None else source.eval().requires_grad_(False)
        noises = () if config.noise else without_noise(generator)
        self.ema = copy.deepcopy(generator).eval().requires_grad_(False)
        self.g_trained = thaw(generator, (*self.plan.frozen_generator, *noises))
        self.d_trained = thaw(discriminator, self.plan.frozen_discriminator)
        g_interval = config.pl_interval if config.pl_weight else 0
        self.g_adam = lazy_adam(list(self.g_trained.values()), config.learning_rate, g_interval)
        self.d_adam = lazy_adam(
            list(self.d_trained.values()), config.learning_rate, config.r1_interval if config.r1_gamma else 0
        )
        pairs: list[tuple[nn.Module, dict[str, nn.Parameter]]] = [(self.ema, self.g_trained)]
        self.reconstruction, self.e_trained = reconstruction, dict[str, nn.Parameter]()
        if reconstruction is not None:
            self.e_trained = dict(reconstruction.encoder.named_parameters())
            self.e_adam = lazy_adam(list(self.e_trained.values()), reconstruction.config.learning_rate, 0)
            pairs.append((reconstruction.ema, self.e_trained))
        self._averaged: list[tuple[Tensor, Tensor]] = [
            (p, trained[name]) for average, trained in pairs for name, p in average.named_parameters() if name in trained
        ]
        self.device = generator.mapping.w_avg.device
        self.images, self.steps = 0, 0
        self.pl_mean = torch.zeros([], device=self.device)
        self._signs = torch.zeros([], device=self.device)
        self.dtype = torch.bfloat16 if config.bf16 else torch.float32
        self.penalty_dtype = self.dtype if config.bf16_penalties else torch.float32

    def step(self, draw: DrawPictures) -> Measured:
        """One update of generator and discriminator, and what was measured on the way."""
        c = self.config
        require(self.d_trained, False)
        drawers = [self.g_adam] + ([self.e_adam] if self.reconstruction else [])
        measured = self._phase("generator", drawers, lambda streams: self._generator_loss(draw, streams))
        w_mean = measured.pop("w_mean")
        if not self.plan.config.freeze_mapping:
            self.generator.mapping.w_avg.lerp_(w_mean, 0.002 * c.batch / 32)
        if c.pl_weight and self.steps % c.pl_interval == 0:
            measured |= self._phase("path", [self.g_adam], self._path_loss)
            self.pl_mean.lerp_(measured["path_length"], c.pl_decay)
        require(self.d_trained, True)
        require(self.g_trained, False)
        measured |= self._phase("discriminator", [self.d_adam], lambda streams: self._discriminator_loss(draw, streams))
        if c.r1_gamma and self.steps % c.r1_interval == 0:
            measured |= self._phase("r1", [self.d_adam], lambda streams: self._r1_loss(draw, streams))
        require(self.g_trained, True)

        self.steps += 1
        self.images += c.batch
        self._average()
        self._control(measured["real_sign"])
        return measured

    def _phase(
        self, name: str, adams: list[torch.optim.Adam], loss_of: Callable[[Streams], tuple[Tensor, Measured]]
    ) -> Measured:
        """Gradients of all micro-batches, over all processes, then one step; returns means over the micro-batches."""
        for adam in adams:
            adam.zero_grad(set_to_none=True)
        sums: Measured = {}
        for index in self.processes.share(self.rounds):
            streams = Streams.of(self.device, self.seed, self.steps, name, index)
            loss, measured = loss_of(streams)
            (loss / self.rounds).backward()  # type: ignore[no-untyped-call]
            for key, value in measured.items():
                value = value.detach().float() / self.rounds
                sums[key] = sums[key] + value if key in sums else value
        groups = [group for adam in adams for group in adam.param_groups]
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        self.processes.sum([*gradients, *sums.values()])
        for adam in adams:
            adam.step()
        return sums

    def _generator_loss(self, draw: DrawPictures, streams: Streams) -> tuple[Tensor, Measured]:
        own, source, w_mean = self._codes(self._samples, streams)
        noise = self._noise(self.micro_batch, streams)
        rebuilt, codes = self.reconstruction, None
        if rebuilt is not None:
            reals = draw(self.micro_batch - self._samples, streams.host)
            codes = rebuilt.codes(reals, self.generator.mapping.w_avg, streams, self.dtype)
        pictures = self.generator(*self._joined(own, codes, noise))
        loss = generator_loss(self._judge(pictures, streams, self.dtype))
        measured = {"generator": loss, "w_mean": w_mean}
        if rebuilt is not None and codes is not None:
            losses = rebuilt.losses(
                pictures[self._samples :], reals, codes, own[:, 0], self.generator.mapping.w_avg, self.discriminator, self.dtype
            )
            loss = loss + torch.stack(list(losses.values())).sum()
            measured |= losses
        plan = self.plan
        if plan.structure_resolutions:
            assert self.source is not None
            assert source is not None
            same = plan.config.structure_code == "source"
            structure = structure_loss(
                self.source.synthesis, self.generator.synthesis, source, source if same else own,
                noise, plan.structure_resolutions, on=plan.config.structure_on, dtype=self.dtype,
            )  # fmt: skip
            loss = loss + structure * plan.config.structure_weight
            measured["structure"] = structure
        return loss, measured

    def _path_loss(self, streams: Streams) -> tuple[Tensor, Measured]:
        count = max(1, self.micro_batch // self.config.pl_batch_shrink)
        w_plus, _, _ = self._codes(count, streams)
        if not w_plus.requires_grad:  # a frozen mapping: the path still starts at the codes
            w_plus = w_plus.detach().requires_grad_(True)
        noise = self._noise(count, streams)
        lengths = path_lengths(self.generator(w_plus, noise, self.penalty_dtype), w_plus, streams.device)
        penalty = (lengths - self.pl_mean).square().mean()
        return penalty * (self.config.pl_weight * self.config.pl_interval), {"path_length": lengths.mean()}

    def _discriminator_loss(self, draw: DrawPictures, streams: Streams) -> tuple[Tensor, Measured]:
        with torch.no_grad():
            reals = draw(self.micro_batch, streams.host)
            own, _, _ = self._codes(self._samples, streams)
            rebuilt, w_avg = self.reconstruction, self.generator.mapping.w_avg
            codes = None if rebuilt is None else rebuilt.codes(reals[self._samples :], w_avg, streams, self.dtype)
            fakes = self.generator(*self._joined(own, codes, self._noise(self.micro_batch, streams)))
        real_logits = self._judge(reals, streams, self.dtype)
        fake_logits = self._judge(fakes, streams, self.dtype)
        loss = discriminator_loss(real_logits, fake_logits)
        return loss, {
            "discriminator": loss, "real_sign": real_logits.sign().mean(),
            "real_logit": real_logits.mean(), "fake_logit": fake_logits.mean(),
        }  # fmt: skip

    def _r1_loss(self, draw: DrawPictures, streams: Streams) -> tuple[Tensor, Measured]:
        reals = draw(self.micro_batch, streams.host).detach().requires_grad_(True)
        penalty = r1_penalty(self._judge(reals, streams, self.penalty_dtype), reals)
        return penalty * (self.config.r1_gamma / 2 * self.config.r1_interval), {"r1": penalty}

    @property
    def _samples(self) -> int:
        """Pictures of a micro-batch that are drawn from fresh codes; the others reconstruct real pictures."""
        return self.micro_batch - (self.reconstruction.count(self.micro_batch) if self.reconstruction else 0)

    def _joined(
        self, own: Tensor, codes: Codes | None, noise: list[Tensor | None]
    ) -> tuple[Tensor, list[Tensor | None], torch.dtype, Tensor | None]:
        """What the generator takes for fresh codes and, behind them, those of real pictures."""
        if codes is None:
            return own, noise, self.dtype, None
        detail = codes.detail
        if detail is not None:
            detail = torch.cat([detail.new_zeros(len(own), *detail.shape[1:]), detail])
        return torch.cat([own, codes.w_plus]), noise, self.dtype, detail

    def _noise(self, count: int, streams: Streams) -> list[Tensor | None]:
        return self.generator.synthesis.noise("random" if self.config.noise else "none", count, streams.device)

    def _judge(self, pictures: Tensor, streams: Streams, dtype: torch.dtype) -> Tensor:
        """Logits of augmented pictures."""
        if self.augment is not None:
            pictures = self.augment(pictures, streams.host)
        logits: Tensor = self.discriminator(pictures, dtype)
        return logits

    def _codes(self, count: int, streams: Streams) -> tuple[Tensor, Tensor | None, Tensor]:
        """Fresh codes with style mixing: [count, num_ws, w_dim] for the generator, for the source, and the mean w."""
        g = self.generator
        z = torch.randn(2, count, g.config.z_dim, generator=streams.device, device=streams.device.device)
        mixed = torch.rand([], generator=streams.host) < self.config.mixing
        cut = int(torch.randint(1, g.num_ws, [], generator=streams.host)) if mixed else g.num_ws
        own, w_mean = mixed_codes(g, z, cut)
        if self.source is None:
            return own, None, w_mean
        with torch.no_grad():
            source, _ = mixed_codes(self.source, z, cut)
        rows = self.plan.source_rows
        return torch.cat([source[:, :rows], own[:, rows:]], dim=1) if rows else own, source, w_mean

    def _control(self, real_sign: Tensor) -> None:
        """The augmentation grows while the discriminator is sure of more real pictures than wanted (ADA, section 3.1)."""
        c = self.config
        if self.augment is None or not c.ada_target:
            return
        self._signs += real_sign
        if self.steps % c.ada_interval == 0:
            # The only place where the loop waits for the device.
            direction = float((self._signs / c.ada_interval - c.ada_target).sign())
            change = direction * c.ada_interval * c.batch / (c.ada_kimg * 1000)
            self.augment.p = min(max(self.augment.p + change, 0.0), c.ada_max)
            self._signs.zero_()

    @torch.no_grad()
    def _average(self) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup:
            half_life = min(half_life, self.images * self.config.ema_rampup)
        weight = 1 - 0.5 ** (self.config.batch / max(half_life, 1e-8))
        torch._foreach_lerp_([a for a, _ in self._averaged], [p.data for _, p in self._averaged], weight)
        self.ema.mapping.w_avg.copy_(self.generator.mapping.w_avg)

    def state(self, *, moments: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next step depends on, as tensors (not copied) and a JSON document.

        Without `moments` Adam starts afresh after `restore`: smaller, but the run then is another one.
        """
        tensors = {f"{n}.{key}": value for n, module in self._networks().items() for key, value in module.state_dict().items()}
        tensors |= {"loop.pl_mean": self.pl_mean, "loop.signs": self._signs}
        if moments:
            for name, adam, trained in self._adams():
                tensors |= moments_of(name, adam, trained)
        strength = 0.0 if self.augment is None else self.augment.p
        document = {"images": self.images, "steps": self.steps, "seed": self.seed, "ada_p": strength, "moments": moments}
        return tensors, document

    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; raises `CheckpointError` where it does not fit these networks."""
        from mien.checkpoint.model_file import load_strictly
        from mien.checkpoint.native import part

        for name, module in self._networks().items():
            load_strictly(module, part(tensors, name), f"the {name} of the training state")
        self.pl_mean.copy_(tensors["loop.pl_mean"])
        self._signs.copy_(tensors["loop.signs"])
        self.images, self.steps, self.seed = (int(document[key]) for key in ("images", "steps", "seed"))
        if self.augment is not None:
            self.augment.p = float(document["ada_p"])
        for name, adam, trained in self._adams():
            restore_moments(adam, trained, part(tensors, name), part(tensors, f"{name}_steps"))

    def _networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.ema}
        return found | (self.reconstruction.networks() if self.reconstruction else {})

    def _adams(self) -> list[tuple[str, torch.optim.Adam, dict[str, nn.Parameter]]]:
        found = [("g_adam", self.g_adam, self.g_trained), ("d_adam", self.d_adam, self.d_trained)]
        return found + ([("e_adam", self.e_adam, self.e_trained)] if self.reconstruction else [])
