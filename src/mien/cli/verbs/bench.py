"""`mien bench`: how fast this machine is, and what the fast path gains over its plain twin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from typer import Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import told
from mien.cli.report import Report, progress, table
from mien.config import settings_in_source
from mien.errors import InputError
from mien.runtime import set_threads

EXAMPLES = (
    "mien bench",
    "mien bench --resolution 1024 --rounds 3",
    "mien bench --quick --json",
)
NEEDS_ARGUMENTS = False

_BENCH = settings_in_source("mien.benchmark", "BenchConfig")


def run(
    screen: ScreenFlags,
    resolution: Annotated[int, told(_BENCH["resolution"], least=8)] = 256,
    rounds: Annotated[int, told(_BENCH["rounds"], least=1)] = 5,
    quick: Annotated[
        bool, Option("--quick", help="A small network and one round: to see that it works, not how fast.")
    ] = False,
    threads: Annotated[int | None, Option(help="CPU threads; without it one per core.", show_default=False, min=1)] = None,
) -> Report:
    """Measure fine-tuning steps and rendering: the fast path and its plain twin, interleaved in one run, medians.

    The plain twin does what the published loop does. Random weights are used: they change no speed.
    """
    from mien import benchmark

    if resolution & (resolution - 1):
        raise InputError(f"--resolution is a power of two such as 256 or 1024, got {resolution}.")
    set_threads(threads)
    config = benchmark.BenchConfig(resolution=resolution, rounds=rounds)
    if quick:
        config = benchmark.BenchConfig(resolution=64, channel_base=2048, channel_max=64, rounds=1)
    with progress("measuring", quiet=screen.quiet) as advance:
        measured = benchmark.run(config, advance)
    report = Report(document=asdict(measured))
    for title, lines in (("one fine-tuning step", measured.tuning), ("rendering one picture", measured.rendering)):
        rows = [(line.name, f"{line.seconds:.3f} s", f"{line.ratio:.1f}x", line.note) for line in lines]
        report.lines += [*table((f"{title}, {config.resolution} px", "seconds", "speed", ""), rows), ""]
    return report
