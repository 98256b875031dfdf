"""Speed: the fast path beside its reference implementation, interleaved in one run, as medians, with how far they agree."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from mien.evaluation.config import BenchConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.sampling import random_codes
from mien.oneshot.config import OneShotConfig
from mien.oneshot.reference_tuner import ReferenceTuner
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from mien.ops import use_ops
from mien.runtime import Progress


@dataclass
class Line:
    """One way to do the job: median seconds, and how many times faster than the reference implementation."""

    name: str
    seconds: float
    ratio: float
    note: str = ""


@dataclass
class Benchmark:
    """All lines of a run."""

    config: BenchConfig
    tuning: list[Line] = field(default_factory=list)
    rendering: list[Line] = field(default_factory=list)


def measure_speed(config: BenchConfig | None = None, progress: Progress | None = None) -> Benchmark:
    """Measure fine-tuning steps and renderings with random weights: their speed does not depend on the values."""
    config = config or BenchConfig()
    torch.manual_seed(0)
    g = Generator(GeneratorConfig(config.resolution, channel_base=config.channel_base, channel_max=config.channel_max)).eval()
    d = Discriminator(
        DiscriminatorConfig(config.resolution, channel_base=config.channel_base, channel_max=config.channel_max)
    ).eval()
    g.requires_grad_(False)
    d.requires_grad_(False)
    with torch.no_grad():
        w_plus, other = torch.split(random_codes(g, 2, psi=1).clone(), 1)
        target = g(other, g.synthesis.noise("const")).clamp(-1, 1)

    fit, references = OneShotConfig(noise="const"), References(target, w_plus)
    tuners: dict[str, OneShotTuner] = {
        "plain float32 (the published loop)": ReferenceTuner(g, d, references, fit),
        "fast float32": OneShotTuner(g, d, references, fit),
    }
    if config.bf16:
        tuners["fast bfloat16"] = OneShotTuner(g, d, references, fit, dtype=torch.bfloat16)
    total = 2 * (config.rounds + 1)
    losses: dict[str, float] = {}

    def first_loss(name: str) -> Callable[[], None]:
        def job() -> None:
            loss = tuners[name].step()
            losses.setdefault(name, loss)

        return job

    tuning = _interleaved({name: first_loss(name) for name in tuners}, config.rounds, progress, 0, total)
    result = Benchmark(config)
    plain_loss = next(iter(losses.values()))
    for name, seconds in tuning.items():
        gap = losses[name] / plain_loss - 1
        result.tuning.append(
            Line(name, seconds, tuning[next(iter(tuning))] / seconds, f"first loss {gap:+.1e} of the plain one")
        )

    styles, noise = g.synthesis.styles(w_plus), g.synthesis.noise("const")

    def plain() -> torch.Tensor:
        with use_ops("plain"):
            return g.synthesis.synthesize(styles, noise)

    jobs: dict[str, Callable[[], torch.Tensor]] = {
        "plain float32": plain,
        "fast float32": lambda: g.synthesis.synthesize(styles, noise),
    }
    if config.bf16:
        jobs["fast bfloat16"] = lambda: g.synthesis.synthesize(styles, noise, torch.bfloat16)
    with torch.inference_mode():
        wanted = plain()
        rendering = _interleaved(jobs, config.rounds, progress, config.rounds + 1, total)
        for name, seconds in rendering.items():
            gap = float((jobs[name]() - wanted).abs().max() / wanted.abs().max())
            result.rendering.append(Line(name, seconds, rendering["plain float32"] / seconds, f"largest difference {gap:.1e}"))
    return result


def _interleaved(
    jobs: Mapping[str, Callable[[], object]], rounds: int, progress: Progress | None, done: int, total: int
) -> dict[str, float]:
    """Median seconds of each job: one warm-up of all, then `rounds` times one after the other."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
        if progress is not None:
            progress(done + round_ + 1, total, times[name][-1])
    return {name: statistics.median(values[1:]) for name, values in times.items()}
