"""`mien bench`: how fast this machine is, and what the fast path gains over its plain twin."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import told
from mien.cli.result import Report, progress, table
from mien.config import settings_in_source
from mien.errors import InputError
from mien.runtime import Device, Dtype, Fir, pick_device, pick_dtype, set_threads

if TYPE_CHECKING:
    from mien.training.filter_choice import FirTime

EXAMPLES = (
    "mien bench",
    "mien bench --resolution 1024 --rounds 3",
    "mien bench --quick --json",
    "mien bench --train --resolution 64 --dtype bfloat16",
    "mien bench --filters --resolution 256 --size normal --device cuda --dtype bfloat16",
)
NEEDS_ARGUMENTS = False

_BENCH = settings_in_source("mien.evaluation.config", "BenchConfig")
_SPEED = settings_in_source("mien.training.config", "TrainSpeedConfig")


def run(
    screen: ScreenFlags,
    resolution: Annotated[
        int | None, Option(help="Side of the pictures in pixels; without it 256, with --train 64.", show_default=False, min=8)
    ] = None,
    rounds: Annotated[int, told(_BENCH["rounds"], least=1)] = 5,
    quick: Annotated[
        bool, Option("--quick", help="A small network and one round: to see that it works, not how fast.")
    ] = False,
    train: Annotated[
        bool, Option("--train", help="Measure the training loop instead, at 64 px unless told otherwise.")
    ] = False,
    filters: Annotated[
        bool, Option("--filters", help="Measure the methods of the low-pass filter in training instead: about a minute.")
    ] = False,
    size: Annotated[
        Literal["lean", "normal", "large"], Option(help="Networks of --train and --filters: a preset of mien train.")
    ] = "lean",
    batch: Annotated[int, told(_SPEED["batch"], least=4)] = 32,
    iterations: Annotated[int, told(_SPEED["iterations"], least=1)] = 64,
    device: Annotated[
        Device, Option(help="Where --train and --filters compute; auto takes CUDA, then MPS, then the CPU.")
    ] = "cpu",
    dtype: Annotated[Dtype, Option(help="Number type of the convolutions of --train and --filters.")] = "float32",
    fir: Annotated[
        Fir, Option(help="Method of the low-pass filter for --train; auto: on CUDA the fastest, measured first.")
    ] = "auto",
    threads: Annotated[int | None, Option(help="CPU threads; without it one per core.", show_default=False, min=1)] = None,
) -> Report:
    """Measure fine-tuning steps and rendering: the fast path and its plain twin, interleaved in one run, medians.

    The plain twin does what the published loop does. Random weights are used: they change no speed.
    """
    resolution = resolution or (64 if train or filters else 256)
    if train and filters:
        raise InputError("--train and --filters are two measurements: run one after the other.")
    if resolution & (resolution - 1):
        raise InputError(f"--resolution is a power of two such as 256 or 1024, got {resolution}.")
    set_threads(threads)
    if fir != "auto" and not train:
        raise InputError("--fir says how --train filters: give --train too.")
    if quick and (train or filters):
        resolution, batch, iterations = 16, 4, 2
    if filters:
        return _filters(resolution, size, batch, device, dtype)
    if train:
        return _training(resolution, size, batch, iterations, device, dtype, fir, quiet=screen.quiet)

    from mien.evaluation import benchmark
    from mien.evaluation.config import BenchConfig

    config = BenchConfig(resolution=resolution, rounds=rounds)
    if quick:
        config = BenchConfig(resolution=64, channel_base=2048, channel_max=64, rounds=1)
    with progress("measuring", quiet=screen.quiet) as advance:
        measured = benchmark.run(config, advance)
    report = Report(document=asdict(measured))
    for title, lines in (("one fine-tuning step", measured.tuning), ("rendering one picture", measured.rendering)):
        rows = [(line.name, f"{line.seconds:.3f} s", f"{line.ratio:.1f}x", line.note) for line in lines]
        report.lines += [*table((f"{title}, {config.resolution} px", "seconds", "speed", ""), rows), ""]
    return report


def _times(resolution: int, size: str, batch: int, device: str, dtype: Dtype) -> list[FirTime]:
    from mien.training.config import SIZES
    from mien.training.filter_choice import time_methods

    return time_methods(resolution, SIZES[size], batch, pick_device(device), pick_dtype(dtype))


def _filters(resolution: int, size: str, batch: int, device: str, dtype: Dtype) -> Report:
    times = _times(resolution, size, batch, device, dtype)
    rows = [(t.method, "does not run" if t.seconds is None else f"{t.seconds * 1000:.2f} ms", t.problem) for t in times]
    title = f"low-pass filter of a step at {resolution} px, {size}, {batch} pictures, {dtype}"
    return Report(lines=table((title, "there and back", ""), rows), document={"methods": [asdict(t) for t in times]})


def _training(
    resolution: int,
    size: Literal["lean", "normal", "large"],
    batch: int,
    iterations: int,
    device: str,
    dtype: Dtype,
    fir: Fir,
    *,
    quiet: bool,
) -> Report:
    from mien.ops import methods_for
    from mien.training.config import TrainSpeedConfig
    from mien.training.filter_choice import check_method, choose
    from mien.training.speed import measure_training

    bf16, place = dtype == "bfloat16", pick_device(device)
    if fir == "auto":
        fir = choose(_times(resolution, size, batch, device, dtype)) if place.type == "cuda" else methods_for(place)[0]
    check_method(fir, place)
    config = TrainSpeedConfig(resolution, size, batch, iterations, bf16, fir)
    with progress("measuring the training loop", quiet=quiet) as advance:
        found = measure_training(config, place, advance)
    share = found.whole_loop / found.steps_only
    lines = [
        f"training at {resolution} px, {size}, batch {batch}, {dtype}, {iterations} steps, filter {fir}",
        f"one step of each network, data, moving average    {found.steps_only:.1f} pictures/s",
        f"with R1, path length and ADA at 0.3               {found.whole_loop:.1f} pictures/s ({share:.0%} of that)",
        f"arithmetic per picture                            {found.gigaflop:.2f} GFLOP",
        f"convolution peak found                            {found.peak:.0f} GFLOP/s, of which {found.share:.0%} are reached",
    ]
    return Report(lines=lines, document={"config": asdict(config), **asdict(found), "share_of_peak": found.share})
