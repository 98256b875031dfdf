"""Everything that is to be known of a face model, measured in one go: numbers and contact sheets for its model card."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mien.checkpoint.native import digest
from mien.errors import InputError
from mien.evaluation.config import ReportConfig
from mien.evaluation.model_report import report_sheets as sheets
from mien.evaluation.model_report.inversion_part import inversion_work, measure_inversion
from mien.evaluation.model_report.parts import Instruments, Inversion, Session, device_of
from mien.evaluation.model_report.population_part import Population
from mien.evaluation.model_report.workspace import Workspace
from mien.media.image_dataset import Dataset
from mien.models.model import Model
from mien.models.sampling import random_latents
from mien.runtime import Progress


@dataclass
class ModelReport:
    """What was measured: `numbers` are plain values for JSON, `sheets` images [3, H, W] in [-1, 1] by name."""

    numbers: dict[str, Any] = field(default_factory=dict)
    sheets: dict[str, Tensor] = field(default_factory=dict)


def measure_model(
    model: Model,
    instruments: Instruments,
    config: ReportConfig | None = None,
    *,
    data: Dataset | None = None,
    held_out: Dataset | None = None,
    inversion: Inversion | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> ModelReport:
    """Measure `model`: distance to `data`, truncation, diversity, copies, inversion of `held_out`; and draw the sheets.

    `data` and `held_out` are images at the model's resolution (`load_dataset`). Parts that need a data set, a network of
    `instruments` or an `inversion` that is not given are left out. What `workspace` keeps is not computed again.
    """
    config = config or ReportConfig()
    _check(model, data, held_out)
    digests = {name: digest(part.state_dict()) for name, part in _parts(model).items()}
    session = Session(model, instruments, workspace or Workspace(None), config.seed, config.batch, digests)
    population = Population(session, data, config.samples, sorted({*config.psis, 0.7, 1.0}))
    photos = None if held_out is None else held_out.pixels[: config.held_out]
    measuring = (instruments.features is not None and data is not None) or instruments.identity is not None
    inverting = photos is not None and inversion is not None
    total = population.work * measuring
    if photos is not None and inversion is not None:
        total += inversion_work(photos, inversion)
    session.tick = _Meter(progress, total)

    report, clock = ModelReport(_facts(session, config, data, held_out)), _Clock()
    if measuring:
        numbers, drawn = population.measure()
        report.numbers |= numbers
        report.sheets |= drawn
        clock.lap("population")
    if inverting:
        assert photos is not None
        assert inversion is not None
        report.numbers["inversion"], drawn = measure_inversion(session, photos, inversion)
        report.sheets |= drawn
        clock.lap("inversion")
    report.sheets |= _sheets(model, config.seed, population.psis)
    clock.lap("sheets")
    report.numbers["seconds"] = clock.laps
    return report


def _check(model: Model, data: Dataset | None, held_out: Dataset | None) -> None:
    for images, what in ((data, "training"), (held_out, "held-out")):
        if images is not None and images.pixels.shape[-1] != model.resolution:
            raise ValueError(f"the {what} images have {images.pixels.shape[-1]} px, the model has {model.resolution} px")
    if data is not None and len(data) < 4:
        raise InputError(f"The training set has {len(data)} images: give at least 4, for two halves to compare.")


def _parts(model: Model) -> dict[str, nn.Module]:
    parts = {"generator": model.generator, "discriminator": model.discriminator, "encoder": model.encoder}
    return {name: part for name, part in parts.items() if part is not None}


def _facts(session: Session, config: ReportConfig, data: Dataset | None, held_out: Dataset | None) -> dict[str, Any]:
    """What was measured, by what, on what."""
    model = session.model
    return {
        "model": {
            "name": model.provenance.name,
            "resolution": model.resolution,
            "images_seen": model.provenance.images_seen,
            "digests": session.digests,
            "parameters": {k: sum(p.numel() for p in m.parameters()) for k, m in _parts(model).items()},
        },
        "networks": dict(session.instruments.digests),
        "features": None if session.instruments.features is None else session.instruments.features.name,
        "machine": {"device": str(device_of(model)), "threads": torch.get_num_threads()},
        "data": {"training": 0 if data is None else len(data), "held_out": 0 if held_out is None else len(held_out)},
        "config": asdict(config),
    }


def _sheets(model: Model, seed: int, psis: list[float]) -> dict[str, Tensor]:
    z = random_latents(model.generator, 64, seed)
    drawn = {f"samples-psi-{psi:g}": sheets.sample_sheet(model, z, psi) for psi in (0.7, 1.0)}
    drawn["truncation"] = sheets.truncation_sheet(model, z[:8], psis)
    drawn["style-mixing"] = sheets.mixing_sheet(model, z, 0.7)
    drawn["interpolation"] = sheets.interpolation_sheet(model, z[:8], 0.7)
    return drawn


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self.last = round(now - self.last, 1), now


class _Meter:
    """Adds up work and tells `progress`."""

    def __init__(self, progress: Progress | None, total: float) -> None:
        self.progress, self.total, self.done = progress, max(1, round(total)), 0.0

    def __call__(self, work: float) -> None:
        self.done += work
        if self.progress is not None:
            self.progress(min(round(self.done), self.total), self.total, 0.0)
