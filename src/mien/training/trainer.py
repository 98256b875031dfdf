"""Adversarial training of StyleGAN2: lazy R1 and path length, style mixing, ADA, a moving average, plans with a frozen source.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" and "Training Generative Adversarial Networks with
Limited Data"; Back 2021, "Fine-Tuning StyleGAN2 for Cartoon Face Generation".

A step is a fixed number of micro-batches, and every micro-batch has random numbers of its own that follow from seed, step and
place. So the whole state of a run is its tensors and its counters, and it does not matter which process does which micro-batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mien.checkpoint.model_file import load_strictly
from mien.checkpoint.native import part
from mien.training.augment import AdaptiveAugment
from mien.training.config import AdversarialConfig, PlanConfig
from mien.training.distributed import Processes
from mien.training.freeze import Plan, make_plan, thaw, without_noise
from mien.training.objectives import DrawImages, Measured, Networks, Objectives
from mien.training.optimizers import LazyAdam, moments_of, restore_moments
from mien.training.phases import Phase, PhaseRunner


class AdversarialTrainer:
    """The networks, their optimizers and the moving average; `step` does one update of each.

    `draw` gives training images. `plan` says what is frozen. With several `processes` every one has a trainer of its own, made
    from the same weights.
    """

    def __init__(
        self, networks: Networks, config: AdversarialConfig, draw: DrawImages, *, augment: AdaptiveAugment | None = None,
        plan: Plan | None = None, seed: int = 0, processes: Processes = Processes(),  # noqa: B008 (frozen)
    ) -> None:  # fmt: skip
        n = networks
        self.networks, self.config, self.seed, self.graphs = networks, config, seed, False
        self.generator, self.discriminator, self.reconstruction = n.generator, n.discriminator, n.reconstruction
        self.source = None if n.source is None else n.source.eval().requires_grad_(False)
        self.plan = plan or make_plan(PlanConfig(), n.generator, n.discriminator, has_source=False)
        self.rounds, self.micro_batch = _split(networks, config, self.plan, processes)
        self.device = n.generator.mapping.w_avg.device
        self.augment = None if augment is None else augment.to(self.device)
        silent = without_noise(n.generator, config.noise_from if config.noise else None)
        self.ema = copy.deepcopy(n.generator).eval().requires_grad_(False)
        self.trained = {
            "g_adam": thaw(n.generator, (*self.plan.frozen_generator, *silent)),
            "d_adam": thaw(n.discriminator, self.plan.frozen_discriminator),
        }
        if n.reconstruction is not None:
            self.trained["e_adam"] = thaw(n.reconstruction.encoder, ())
        self.adams = {name: self._adam(name, trained) for name, trained in self.trained.items()}
        self._averaged = self._pairs()
        self.images, self.steps, self.fresh_since = 0, 0, 0
        self.pl_mean, self._signs = (torch.zeros([], device=self.device) for _ in range(2))
        self.objectives = Objectives(networks, config, self.plan, self.augment, draw, self.micro_batch, self.pl_mean)
        everything = [p for trained in self.trained.values() for p in trained.values()]
        self.runner = PhaseRunner(everything, self.device, seed, self.rounds, processes)
        self.phases = self._rows()

    def _adam(self, name: str, trained: Mapping[str, nn.Parameter]) -> LazyAdam:
        c, rebuilt = self.config, self.reconstruction
        intervals = {"g_adam": c.pl_interval if c.pl_weight else 0, "d_adam": c.r1_interval if c.r1_gamma else 0}
        rate = rebuilt.config.learning_rate if name == "e_adam" and rebuilt is not None else c.learning_rate
        return LazyAdam(list(trained.values()), rate, intervals.get(name, 0))

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Parameters of the moving averages with those that they follow."""
        pairs: list[tuple[nn.Module, str]] = [(self.ema, "g_adam")]
        if self.reconstruction is not None:
            pairs.append((self.reconstruction.ema, "e_adam"))
        return [
            (p, self.trained[of][name].data)
            for average, of in pairs
            for name, p in average.named_parameters()
            if name in self.trained[of]
        ]

    def _rows(self) -> list[Phase]:
        """The phases of a step, in their order."""
        c, losses, adams = self.config, self.objectives, self.adams
        drawers = tuple(adams[name] for name in ("g_adam", "e_adam") if name in adams)
        rows = [Phase("generator", losses.generator, drawers)]
        if c.pl_weight:
            rows.append(Phase("path", losses.path, (adams["g_adam"],), c.pl_interval))
        rows.append(Phase("discriminator", losses.discriminator, (adams["d_adam"],)))
        if c.r1_gamma:
            rows.append(Phase("r1", losses.r1, (adams["d_adam"],), c.r1_interval))
        return rows

    def use_graphs(self) -> None:
        """Record the phases as CUDA graphs at the first step and replay them: the same numbers, but for the order of sums."""
        self.graphs = True
        if self.augment is not None:
            self.augment.fixed_shapes = True

    def step(self, rate: float = 1.0) -> Measured:
        """One update of generator and discriminator at `rate` times the learning rates, and what was measured on the way."""
        if self.graphs and self.phases[0].graph is None:
            self.runner.record(self.phases)
        for adam in self.adams.values():
            adam.scale_rate(rate)
        measured: Measured = {}
        for phase in self.phases:
            if self.steps % phase.interval == 0:
                measured |= self.runner.run(phase, self.steps)
                self._follow(phase.name, measured)
        self.steps += 1
        self.images += self.config.batch
        self._average()
        self._control(measured["real_sign"])
        return measured

    def _follow(self, phase: str, measured: Measured) -> None:
        """Update the means that later phases use."""
        if phase == "generator":
            w_mean = measured.pop("w_mean")
            if not self.plan.config.freeze_mapping:
                self.generator.mapping.w_avg.lerp_(w_mean, 0.002 * self.config.batch / 32)
        if phase == "path":
            self.pl_mean.lerp_(measured["path_length"], self.config.pl_decay)

    def _control(self, real_sign: Tensor) -> None:
        """The augmentation grows while the discriminator is sure of more real images than wanted (ADA, section 3.1)."""
        c = self.config
        if self.augment is None or not c.ada_target:
            return
        self._signs += real_sign
        if self.steps % c.ada_interval == 0:
            direction = (self._signs / c.ada_interval - c.ada_target).sign()
            self.augment.p.add_(direction * (c.ada_interval * c.batch / (c.ada_kimg * 1000))).clamp_(0.0, c.ada_max)
            self._signs.zero_()

    @torch.no_grad()
    def _average(self) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup:
            half_life = min(half_life, self.images * self.config.ema_rampup)
        weight = 1 - 0.5 ** (self.config.batch / max(half_life, 1e-8))
        torch._foreach_lerp_([a for a, _ in self._averaged], [p for _, p in self._averaged], weight)
        self.ema.mapping.w_avg.copy_(self.generator.mapping.w_avg)

    @property
    def ada_p(self) -> float:
        """The strength of the augmentation; waits for the device."""
        return 0.0 if self.augment is None else float(self.augment.p)

    def finite(self) -> bool:
        """Whether all weights are numbers; waits for the device."""
        every = [p for module in self._modules().values() for p in module.parameters()]
        return bool(torch.stack([p.detach().isfinite().all() for p in every]).all())

    def state(self, *, moments: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next step depends on, as tensors (not copied) and a JSON document.

        Without `moments` Adam starts afresh after `restore`: smaller, but the run then is another one.
        """
        tensors = {f"{n}.{key}": value for n, module in self._modules().items() for key, value in module.state_dict().items()}
        tensors |= {"loop.pl_mean": self.pl_mean, "loop.signs": self._signs}
        if moments:
            for name, adam in self.adams.items():
                tensors |= moments_of(name, adam, self.trained[name])
        document = {
            "images": self.images, "steps": self.steps, "seed": self.seed, "ada_p": self.ada_p, "moments": moments,
            "fresh_since": self.fresh_since,
        }  # fmt: skip
        return tensors, document

    def restore(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; raises `CheckpointError` where it does not fit these networks."""
        for name, module in self._modules().items():
            load_strictly(module, part(tensors, name), f"the {name} of the training state")
        self.pl_mean.copy_(tensors["loop.pl_mean"])
        self._signs.copy_(tensors["loop.signs"])
        self.images, self.steps, self.seed = (int(document[key]) for key in ("images", "steps", "seed"))
        # States of before 0.1 do not tell since when their optimizers ran: from the start.
        self.fresh_since = int(document.get("fresh_since", 0)) if document["moments"] else self.steps
        self.runner.seed = self.seed
        if self.augment is not None:
            self.augment.p.fill_(float(document["ada_p"]))
        for name, adam in self.adams.items():
            restore_moments(adam, self.trained[name], part(tensors, name), part(tensors, f"{name}_steps"))

    def _modules(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.ema}
        return found | (self.reconstruction.networks() if self.reconstruction else {})


def _split(networks: Networks, config: AdversarialConfig, plan: Plan, processes: Processes) -> tuple[int, int]:
    """Micro-batches per step and images in each; raises `ValueError` for what cannot be trained together."""
    micro_batch = config.micro_batch or config.batch
    rounds, group = config.batch // micro_batch, min(networks.discriminator.config.mbstd_group, micro_batch)
    if config.batch % micro_batch or micro_batch % group or rounds % processes.count:
        raise ValueError(
            f"a batch of {config.batch} does not split into micro-batches of {micro_batch}, these into "
            f"minibatch-std groups of {group}, or the {rounds} micro-batches into {processes.count} processes"
        )
    if plan.config.needs_source and networks.source is None:
        raise ValueError("the plan compares with a source: give the source generator")
    if networks.reconstruction is not None and (plan.config.needs_source or micro_batch < 2):
        raise ValueError("an encoder is trained without a source to compare with, and in micro-batches of at least 2")
    return rounds, micro_batch
