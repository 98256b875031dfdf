"""A report on the model in a file, from the files that it is made from to those that it consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mien.checkpoint import load_model
from mien.checkpoint.face_networks import read_mobilefacenet
from mien.evaluation.config import ReportConfig, ReportInputs
from mien.evaluation.evaluate import open_features
from mien.evaluation.model_report.curve import curve, point_of, read_point
from mien.evaluation.model_report.parts import Instruments, Inversion
from mien.evaluation.model_report.report import ModelReport, measure_model
from mien.evaluation.model_report.report_text import NUMBERS, SHOWS_DATA, TABLES, check_free, write_report
from mien.evaluation.model_report.workspace import Workspace
from mien.faces.background import as_learned
from mien.files import file_digest
from mien.inversion import Codes, mean_code, refine, refinement
from mien.inversion.encode import encode
from mien.media.image_dataset import Dataset, load_dataset
from mien.models.model import Model
from mien.runtime import Progress


@dataclass
class WrittenReport:
    """A report that was written."""

    files: list[Path]
    numbers: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def report_on(
    model: Path, out: Path, inputs: ReportInputs | None = None, config: ReportConfig | None = None, *,
    earlier: Sequence[Path] = (), device: torch.device | None = None, overwrite: bool = False, progress: Progress | None = None,
) -> WrittenReport:  # fmt: skip
    """Measure the model in a file and write numbers, tables and sheets to the folder `out`.

    `earlier` are folders of reports on earlier snapshots, for a curve of quality. Raises `InputError` where a report is in
    `out` already, unless `overwrite`.
    """
    inputs, device = inputs or ReportInputs(), device or torch.device("cpu")
    check_free(out, [NUMBERS, TABLES], overwrite=overwrite)
    before = [read_point(folder) for folder in earlier]
    measured = load_model(model)
    for network in (measured.generator, measured.encoder, measured.discriminator):
        if network is not None:
            network.to(device)
    notes: list[str] = []
    data, held_out = (_images(path, measured.resolution, notes) for path in (inputs.data, inputs.held_out))
    made = measure_model(
        measured, _instruments(inputs, device), config, data=data, held_out=held_out,
        inversion=None if held_out is None else _inversion(measured, inputs.refine_steps),
        workspace=Workspace(inputs.work or out / "work"), progress=progress,
    )  # fmt: skip
    if inputs.hours is not None:
        made.numbers["hours"] = inputs.hours
    now = point_of(made.numbers)
    if before and now is not None:
        made.numbers["curve"], made.sheets["curve"] = curve([*before, now])
    elif before:
        notes.append("There is no curve: it needs the distances that `data` gives.")
    return WrittenReport(write_report(made, out, overwrite=overwrite), made.numbers, notes + _warning(made))


def _images(path: Path | None, resolution: int, notes: list[str]) -> Dataset | None:
    if path is None:
        return None
    found = load_dataset(path, resolution)
    notes += [f"{path}: {line}" for line in found.report().splitlines()[1:]]
    return found


def _warning(made: ModelReport) -> list[str]:
    shown = [f"{name}.png" for name in SHOWS_DATA if name in made.sheets]
    return [f"{', '.join(shown)} show images of your data sets: think before you publish them."] if shown else []


def _instruments(inputs: ReportInputs, device: torch.device) -> Instruments:
    """What measures: nothing that there is nothing to measure for."""
    compares = inputs.data is not None or inputs.held_out is not None
    features = open_features(inputs.features, device) if compares else None
    identity = None if inputs.identity is None else read_mobilefacenet(inputs.identity).to(device)
    digests = {} if features is None else {features.name: features.weights}
    if inputs.identity is not None:
        digests["MobileFaceNet"] = file_digest(inputs.identity)
    return Instruments(features, identity, digests)


def _inversion(model: Model, steps: int) -> Inversion:
    learned, has_encoder = partial(as_learned, model), model.encoder is not None
    return Inversion(
        start=lambda crops: encode(model, learned(crops)) if has_encoder else Codes(mean_code(model, len(crops))),
        start_name="encoder" if has_encoder else "mean code",
        refine=(lambda crops, codes: refine(model, learned(crops), codes, refinement(codes, steps))) if steps else None,
        refine_steps=steps,
    )
