"""A training step as rows: every phase has a loss, what it trains, and how often it comes.

A phase is run in micro-batches: losses and gradients add up in tensors that stay where they are, so that a phase can be
recorded once as a CUDA graph and replayed (`mien.training.cuda_graphs`). Optimizers step outside the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from mien.training.cuda_graphs import record
from mien.training.distributed import Processes, stream_seed

LossOf = Callable[[torch.Generator], tuple[Tensor, dict[str, Tensor]]]
"""(random generator on the device) -> loss of one micro-batch, and what was measured."""


@dataclass
class Phase:
    """One row of a step: what is minimized, by which optimizers, and every how many steps."""

    name: str
    loss: LossOf
    optimizers: tuple[torch.optim.Adam, ...]
    interval: int = 1
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Means over the micro-batches of what was measured."""
    graph: torch.cuda.CUDAGraph | None = None
    gradients: dict[nn.Parameter, Tensor] = field(default_factory=dict)
    """Where the graph leaves the gradients."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the phase trains."""
        return [p for optimizer in self.optimizers for group in optimizer.param_groups for p in group["params"]]

    def clear(self) -> None:
        """Forget gradients and sums; those of a graph stay where they are."""
        for p in self.parameters:
            p.grad = self.gradients.get(p)
        kept = [*self.gradients.values(), *self.sums.values()]
        if kept:
            torch._foreach_zero_(kept)


class PhaseRunner:
    """Runs phases on one device: the same numbers eagerly and from graphs.

    `trained` is everything that any phase trains: only what a phase trains needs gradients while it runs.
    """

    def __init__(
        self, trained: Sequence[nn.Parameter], device: torch.device, seed: int, rounds: int, processes: Processes
    ) -> None:
        self.trained, self.seed, self.rounds, self.processes = trained, seed, rounds, processes
        self.random = torch.Generator(device)

    def run(self, phase: Phase, step: int) -> dict[str, Tensor]:
        """Gradients of all micro-batches, over all processes, then one optimizer step; returns means over the micro-batches."""
        self._prepare(phase)
        for index in self.processes.share(self.rounds):
            self.random.manual_seed(stream_seed(self.seed, step, phase.name, index))
            if phase.graph is None:
                self._micro_batch(phase)
            else:
                phase.graph.replay()
        gradients = [p.grad for p in phase.parameters if p.grad is not None]
        self.processes.sum([*gradients, *phase.sums.values()])
        for optimizer in phase.optimizers:
            optimizer.step()
        return {name: value.clone() for name, value in phase.sums.items()}

    def record(self, phases: Sequence[Phase]) -> None:
        """Record every phase as a CUDA graph. Changes no weights, moments or averages."""
        for phase in phases:
            self._prepare(phase)
            phase.graph = record(partial(self._micro_batch, phase), self.random)
            phase.gradients = {p: p.grad for p in phase.parameters if p.grad is not None}

    def _prepare(self, phase: Phase) -> None:
        wanted = {id(p) for p in phase.parameters}
        for p in self.trained:
            p.requires_grad_(id(p) in wanted)
        phase.clear()

    def _micro_batch(self, phase: Phase) -> None:
        """Add the gradients of one micro-batch to those that are there, and what it measures to the phase's sums."""
        loss, measured = phase.loss(self.random)
        (loss / self.rounds).backward()  # type: ignore[no-untyped-call]
        for name, value in measured.items():
            if name not in phase.sums:
                phase.sums[name] = torch.zeros_like(value, dtype=torch.float32)
            phase.sums[name] += value.detach().float() / self.rounds
