"""`mien train`: train a model on images, from scratch or from another model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from mien.cli.machine import Screen, TrainMachine
from mien.cli.progress import ProgressLine, stop_on_signals
from mien.cli.result import Report
from mien.runtime import pick_device
from mien.training.config import (
    AdversarialConfig,
    Method,
    NetworkConfig,
    PlanConfig,
    ReconstructionConfig,
    SessionConfig,
    TrainConfig,
)

EXAMPLES = (
    "mien train faces.zip -o run --resolution 32,64,128 --max-minutes 600",
    "mien train cartoons -o cartoon --from faces.safetensors --method structure --kimg 100",
    "mien train faces.zip -o run --resolution 64 --weights photos=3,drawings=0.5 --dtype bfloat16",
    "mien train -o run",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="Run folder; an existing run is continued.", show_default=False)],
    settings: Annotated[dict[str, Any], TrainConfig],
    loop: Annotated[dict[str, Any], AdversarialConfig],
    networks: Annotated[dict[str, Any], NetworkConfig],
    encoder: Annotated[dict[str, Any], ReconstructionConfig],
    plan: Annotated[dict[str, Any], PlanConfig],
    call: SessionConfig,
    machine: TrainMachine,
    screen: Screen,
    data: Annotated[
        Path | None,
        Argument(metavar="DATASET", help="Folder or zip of images; of a run that is there, its own.", show_default=False),
    ] = None,
    method: Annotated[
        Method | None,
        Option(help="A fine-tuning method with its usual settings.", show_default=False, case_sensitive=False),
    ] = None,
    config: Annotated[Path | None, Option(help="TOML file of all settings, as in a run folder.", show_default=False)] = None,
) -> Report:
    """Train a model on a folder or zip of images, from scratch or from another model.

    The same command continues a run, even after Ctrl-C or a crash. The folder's index.html shows how it goes.
    """
    from mien.training.configure import configure, session
    from mien.training.distributed import Processes
    from mien.training.run import train

    device, first = Processes.own_device(pick_device(machine.device)), os.environ.get("RANK", "0") == "0"
    overrides = settings | loop | networks | encoder | plan | ({} if data is None else {"data": str(data)})
    wanted = configure(out, overrides, method=method, file=config, device=device, dtype=machine.dtype)
    line = ProgressLine(silent=screen.quiet or not first)
    with stop_on_signals() as stopped:
        outcome = train(wanted, out, session(call, device, tell=line.note, show=line.show, stop=stopped))
    line.end()
    report = Report()
    if not first:  # of several processes, one speaks
        return report
    facts = {"images": outcome.images, "steps": outcome.steps, "complete": outcome.complete, "page": str(out / "index.html")}
    report.wrote(outcome.model, facts)
    if not outcome.complete and not screen.quiet:
        print(f"mien: stopped after {outcome.images} images; the same command goes on.", file=sys.stderr)
    return report
