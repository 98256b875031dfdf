"""`mien report`: the numbers and contact sheets of a model's card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import Overwrite
from mien.cli.paths import resolve_file
from mien.cli.result import Report, progress
from mien.evaluation.config import QUICK, ReportConfig, ReportInputs
from mien.runtime import pick_device

EXAMPLES = (
    "mien report model.safetensors --data faces-train-256.zip --held-out faces-eval-256.zip "
    "--identity mobilefacenet.safetensors -o card",
    "mien report model.safetensors -o sheets",
)


def run(
    model: Annotated[Path, Argument(metavar="MODEL", help="The model's file.")],
    out: Annotated[Path, Option("--out", "-o", help="Folder to write.")],
    inputs: ReportInputs,
    measuring: Annotated[dict[str, Any], ReportConfig],
    machine: Machine,
    screen: Screen,
    quick: Annotated[
        bool, Option("--quick", help="A small run of minutes; compare its distances only with those of other quick runs.")
    ] = False,
    earlier: Annotated[
        list[Path] | None, Option(help="Report folder of an earlier snapshot; repeatable: adds a quality curve.")
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Measure a model: how close its samples are to its training set, how well it inverts photos, and what it draws.

    Writes numbers.json, numbers.md (tables for a model card) and contact sheets. An interrupted run resumes.
    Sets of images are compared by a feature extractor (pip install mien[measure]); the identity network is a file of yours.
    """
    for path in (model, inputs.identity):
        if path is not None:
            resolve_file(path)

    from mien.evaluation.model_report.whole_report import report_on

    config, device = replace(QUICK if quick else ReportConfig(), **measuring), pick_device(machine.device)
    with progress("measuring", quiet=screen.quiet) as advance:
        made = report_on(
            model, out, inputs, config, earlier=earlier or (), device=device, overwrite=overwrite, progress=advance
        )
    report = Report(document={"numbers": made.numbers}, warnings=made.notes)
    for file in made.files:
        report.wrote(file)
    return report
