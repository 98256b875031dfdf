"""A sweep from the model that it starts from to its sheet and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.checkpoint.load import load_model
from mien.editing.layer_swap import swap_weights
from mien.errors import InputError
from mien.evaluation.config import SweepConfig
from mien.evaluation.evaluate import open_features
from mien.evaluation.transfer import Transfer
from mien.evaluation.variants import measure_sweep, parse_variant, run_sweep, sweep_images
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, write_image
from mien.runtime import Progress
from mien.training.configure import NumberType, takes_bf16
from mien.training.resolve import resolve
from mien.training.session import Outcome, Session

SHEET, TABLE = "sheet.png", "table.md"


@dataclass
class Sweep:
    """What became of a sweep."""

    outcomes: dict[str, Outcome]
    """How each method's run ended, by its name."""
    rows: list[Transfer]
    """What was measured; empty without a measuring network."""


def sweep(
    data: Path, source: Path, out: Path, overrides: Mapping[str, Any], config: SweepConfig | None = None, *,
    session: Session | None = None, dtype: NumberType = "auto", progress: Progress | None = None,
) -> Sweep:  # fmt: skip
    """Fine-tune the model in `source` by several methods, with the same images and random numbers, and write a sheet of all.

    `overrides` are settings of training by dotted names, with `kimg` among them. An interrupted sweep resumes.
    Raises `InputError` for methods and cuts that the model does not have, and where it was stopped before all had begun.
    """
    config, session, model = config or SweepConfig(), session or Session(), load_model(source)
    for cut in config.cuts:
        swap_weights(model.generator.synthesis.resolutions, cut)
    variants = [parse_variant(word, model.resolution) for word in config.methods]
    fixed = {"data": str(data), "source": str(source), "stages": (model.resolution,)}
    size = "normal" if session.device.type == "cuda" else "lean"
    run = resolve({**overrides, **fixed}, size=size, bf16=takes_bf16(session.device, dtype))
    outcomes = run_sweep(variants, run, out, session)
    if len(outcomes) < len(variants):
        raise InputError("The sweep was stopped before every method had begun: the same command goes on.")
    shown = dict(sweep_images(out, list(outcomes), config.cuts, count=8))
    drawn = sheet([list(images) for images in shown.values()], row_labels=list(shown))
    write_image(out / SHEET, from_tensor(drawn), overwrite=True)
    if config.features is None:
        return Sweep(outcomes, [])
    rows = measure_sweep(out, list(outcomes), config.cuts, data, open_features(config.features), config.samples, progress)
    return Sweep(outcomes, rows)
