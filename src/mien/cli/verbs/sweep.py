"""`mien sweep`: several ways to fine-tune one model, side by side on one sheet."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from mien.cli.machine import Screen, TrainMachine
from mien.cli.progress import ProgressLine, stop_on_signals
from mien.cli.result import Report, progress
from mien.evaluation.config import SweepConfig
from mien.runtime import pick_device
from mien.training.config import AdversarialConfig, SessionConfig

EXAMPLES = (
    "mien sweep cartoons --from faces.safetensors --kimg 40 -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 20 --methods structure:1,structure:2,structure:3 -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 40 --methods structure --cuts 8px,16px,32px -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 40 --cuts 32px --features auto -o sweep",
)


def run(
    data: Annotated[Path, Argument(metavar="DATASET", help="Folder or zip of images.")],
    source: Annotated[Path, Option("--from", help="Model that each fine-tuning starts from.")],
    kimg: Annotated[float, Option(help="Thousands of images per fine-tuning.", min=0.001)],
    out: Annotated[Path, Option("--out", "-o", help="Folder for the runs and sheet.png; existing runs are continued.")],
    comparing: SweepConfig,
    loop: Annotated[dict[str, Any], AdversarialConfig],
    call: SessionConfig,
    machine: TrainMachine,
    screen: Screen,
    seed: Annotated[int, Option(help="Seed of all random numbers, the same for every method.", min=0)] = 0,
) -> Report:
    """Fine-tune a model by several methods on the same images and random numbers, and show the same faces in each.

    Each method is a run of mien train in its own folder.
    """
    from mien.evaluation.whole_sweep import SHEET, TABLE, sweep
    from mien.training.configure import session

    line = ProgressLine(silent=screen.quiet)
    with stop_on_signals() as stopped, progress("measuring", quiet=screen.quiet) as advance:
        running = session(call, pick_device(machine.device), tell=line.note, show=line.show, stop=stopped)
        overrides = {"kimg": kimg, "seed": seed, **loop}
        made = sweep(data, source, out, overrides, comparing, session=running, dtype=machine.dtype, progress=advance)
    line.end()
    report = Report()
    report.wrote(out / SHEET, {"methods": {name: o.images for name, o in made.outcomes.items()}, "cuts": comparing.cuts})
    if made.rows:
        report.wrote(out / TABLE, {"rows": [asdict(row) for row in made.rows]})
    for outcome in made.outcomes.values():
        report.wrote(outcome.model, {"images": outcome.images, "complete": outcome.complete})
    if not all(o.complete for o in made.outcomes.values()) and not screen.quiet:
        print("mien: not all methods are complete; the same command goes on.", file=sys.stderr)
    return report
