"""`mien bench`: how fast this machine is, and what the fast path gains over its reference implementation."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import Annotated, Any

from typer import Option

from mien.cli.machine import Machine, Screen
from mien.cli.result import Report, progress, table
from mien.errors import InputError
from mien.evaluation.config import QUICK_BENCH, BenchConfig
from mien.runtime import pick_device
from mien.training.config import TrainSpeedConfig

EXAMPLES = (
    "mien bench",
    "mien bench --resolution 1024 --rounds 3",
    "mien bench --quick --json",
    "mien bench --train --resolution 64 --dtype bfloat16",
    "mien bench --stream",
    "mien bench --filters --resolution 256 --size normal --device cuda --dtype bfloat16",
)
NEEDS_ARGUMENTS = False


def run(
    steps: Annotated[dict[str, Any], BenchConfig],
    training: Annotated[dict[str, Any], TrainSpeedConfig],
    machine: Machine,
    screen: Screen,
    quick: Annotated[bool, Option("--quick", help="A tiny run, to see that it works.")] = False,
    train: Annotated[bool, Option("--train", help="Measure the training loop instead.")] = False,
    filters: Annotated[
        bool, Option("--filters", help="Measure the low-pass filters of training instead, in about a minute.")
    ] = False,
    stream: Annotated[bool, Option("--stream", help="Measure video frames instead, with every installed engine.")] = False,
) -> Report:
    """Measure fine-tuning and rendering speed: the fast path against its reference implementation.

    The reference implementation is the published loop. The weights are random, which does not affect speed.
    """
    if train + filters + stream > 1:
        raise InputError("`train`, `filters` and `stream` are measurements of their own: run one after the other.")
    if "fir" in training and not train:
        raise InputError("`fir` is a method of the training loop: give `train` too.")
    if stream:
        return _streams(steps.get("rounds"), screen, quick=quick)
    if not (train or filters):
        return _steps(replace(QUICK_BENCH if quick else BenchConfig(), **steps), screen)
    usual = TrainSpeedConfig(16, batch=4, iterations=2) if quick else TrainSpeedConfig()
    resolution = {"resolution": steps["resolution"]} if "resolution" in steps else {}
    config = replace(usual, **training, **resolution, bf16=machine.bf16)
    return _filters(config, machine) if filters else _training(config, machine, screen)


def _steps(config: BenchConfig, screen: Screen) -> Report:
    from mien.evaluation import benchmark

    with progress("measuring", quiet=screen.quiet) as advance:
        measured = benchmark.measure_speed(config, advance)
    report = Report(document=asdict(measured))
    for title, lines in (("one fine-tuning step", measured.tuning), ("rendering one image", measured.rendering)):
        rows = [(line.name, f"{line.seconds:.3f} s", f"{line.ratio:.1f}x", line.note) for line in lines]
        report.lines += [*table((f"{title}, {config.resolution} px", "seconds", "speed", ""), rows), ""]
    return report


def _streams(rounds: int | None, screen: Screen, *, quick: bool) -> Report:
    from mien.evaluation.stream_speed import ROUNDS, SIZES, measure_streams
    from mien.streaming.frame_engine import PARTS

    def tell(text: str) -> None:
        if not screen.quiet:
            print(f"mien: {text}", file=sys.stderr, flush=True)

    with progress("chunks of frames", quiet=screen.quiet) as advance:
        measured = measure_streams(
            rounds=rounds or (1 if quick else ROUNDS), sizes=SIZES[:1] if quick else SIZES, progress=advance, tell=tell
        )
    rows = [
        (
            "x".join(map(str, line.size)),
            line.engine,
            line.draw_every,
            f"{line.rate:.1f}",
            *(f"{line.parts[part]:.1f}" for part in PARTS),
        )
        for line in measured
    ]
    lines = table(("frames", "engine", "drawn every", "per second", *(f"{part}, ms" for part in PARTS)), rows)
    return Report(lines=lines, document={"streams": [asdict(line) | {"rate": line.rate} for line in measured]})


def _filters(config: TrainSpeedConfig, machine: Machine) -> Report:
    from mien.training.speed import time_filters

    times = time_filters(config, pick_device(machine.device))
    rows = [(t.method, "does not run" if t.seconds is None else f"{t.seconds * 1000:.2f} ms", t.problem) for t in times]
    title = f"low-pass filter of a step at {config.resolution} px, {config.size}, {config.batch} images, {machine.dtype}"
    return Report(lines=table((title, "there and back", ""), rows), document={"methods": [asdict(t) for t in times]})


def _training(config: TrainSpeedConfig, machine: Machine, screen: Screen) -> Report:
    from mien.training.speed import measure_training

    with progress("measuring the training loop", quiet=screen.quiet) as advance:
        found = measure_training(config, pick_device(machine.device), advance)
    share, what = found.whole_loop / found.steps_only, f"batch {config.batch}, {machine.dtype}, {config.iterations} steps"
    lines = [
        f"training at {config.resolution} px, {config.size}, {what}, filter {found.fir}",
        f"one step of each network, data, moving average    {found.steps_only:.1f} images/s",
        f"with R1, path length and ADA at 0.3               {found.whole_loop:.1f} images/s ({share:.0%} of that)",
        f"arithmetic per image                            {found.gigaflop:.2f} GFLOP",
        f"convolution peak found                            {found.peak:.0f} GFLOP/s, of which {found.share:.0%} are reached",
    ]
    return Report(lines=lines, document={"config": asdict(config), **asdict(found), "share_of_peak": found.share})
