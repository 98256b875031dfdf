"""`mien report`: the numbers and contact sheets of a model's card."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import Overwrite, told
from mien.cli.paths import existing
from mien.cli.result import Report, progress
from mien.config import settings_in_source
from mien.errors import InputError
from mien.runtime import Device, pick_device, set_threads

if TYPE_CHECKING:
    from mien.evaluation.model_report.parts import Instruments, Inversion
    from mien.models.model import Model

EXAMPLES = (
    "mien report model.safetensors --data faces-train-256.zip --held-out faces-eval-256.zip "
    "--features mobilenet_v2.tflite --identity mobilefacenet.safetensors -o card",
    "mien report model.safetensors -o sheets",
)

_REPORT = settings_in_source("mien.evaluation.config", "ReportConfig")


def run(
    model: Annotated[Path, Argument(metavar="MODEL", help="The model's file.", show_default=False)],
    out: Annotated[Path, Option("--out", "-o", help="Folder to write.", show_default=False)],
    screen: ScreenFlags,
    data: Annotated[
        Path | None, Option(help="What it was trained on: folder or zip of aligned pictures.", show_default=False)
    ] = None,
    held_out: Annotated[
        Path | None, Option(help="Photos that it never saw, to invert: folder or zip, aligned.", show_default=False)
    ] = None,
    features: Annotated[
        Path | None, Option(help="MobileNetV2 as .tflite, for the distances of sets and pictures.", show_default=False)
    ] = None,
    identity: Annotated[
        Path | None, Option(help="MobileFaceNet as .safetensors, to tell people apart.", show_default=False)
    ] = None,
    refine: Annotated[int, Option(help="Optimisation steps after the encoder's answer; 0: none.")] = 100,
    quick: Annotated[
        bool, Option("--quick", help="Little of everything, in minutes; its distances compare with quick ones only.")
    ] = False,
    samples: Annotated[
        int | None,
        Option(help="Samples, and pictures of each half of the set; without it 2500, or 400 if quick.", show_default=False),
    ] = None,
    seed: Annotated[int, told(_REPORT["seed"])] = 0,
    earlier: Annotated[
        list[Path] | None,
        Option(help="Folder of the report on an earlier snapshot; repeated: a curve of quality.", show_default=False),
    ] = None,
    hours: Annotated[float | None, Option(help="Hours it was trained, for that curve.", show_default=False)] = None,
    work: Annotated[
        Path | None,
        Option(help="Folder that keeps what is measured for the next run; without it one in -o.", show_default=False),
    ] = None,
    device: Annotated[Device, Option(help="Where to compute; auto takes CUDA, then MPS, then the CPU.")] = "cpu",
    threads: Annotated[int | None, Option(help="CPU threads; without it one per core.", show_default=False)] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Measure a model: how close its samples are to its training set, how it inverts photos, and what it draws.

    Writes numbers.json, numbers.md (tables for a model card) and contact sheets. A run that was stopped goes on where it was.
    The measuring networks are files of yours: without one, the numbers that need it are left out.
    """
    for path in (model, features, identity):
        if path is not None:
            existing(path)
    if refine < 0:
        raise InputError(f"--refine must be 0 or more, got {refine}.")

    from mien.checkpoint import load_model
    from mien.evaluation.config import QUICK, ReportConfig
    from mien.evaluation.model_report.curve import curve, point_of, read_point
    from mien.evaluation.model_report.report import measure_model
    from mien.evaluation.model_report.report_text import NUMBERS, SHOWS_DATA, TABLES, check_free, write_report
    from mien.evaluation.model_report.workspace import Workspace
    from mien.media.image_dataset import Dataset, load_dataset

    check_free(out, [NUMBERS, TABLES], overwrite=overwrite)
    before = [read_point(folder) for folder in earlier or []]
    set_threads(threads)
    config = QUICK if quick else ReportConfig()
    try:
        config = dataclasses.replace(config, seed=seed, samples=config.samples if samples is None else samples)
    except ValueError as error:
        raise InputError(f"--samples: {error}.") from error
    where = pick_device(device)
    measured = load_model(model)
    for network in (measured.generator, measured.encoder, measured.discriminator):
        if network is not None:
            network.to(where)
    report = Report()

    def pictures(path: Path | None) -> Dataset | None:
        if path is None:
            return None
        found = load_dataset(path, measured.resolution)
        report.warnings += [f"{path}: {line}" for line in found.report().splitlines()[1:]]
        return found

    with progress("measuring", quiet=screen.quiet) as advance:
        made = measure_model(
            measured,
            _instruments(features, identity, device=str(where)),
            config,
            data=pictures(data),
            held_out=pictures(held_out),
            inversion=_inversion(measured, refine) if held_out is not None else None,
            workspace=Workspace(work or out / "work"),
            progress=advance,
        )
    if hours is not None:
        made.numbers["hours"] = hours
    now = point_of(made.numbers)
    if before and now is not None:
        made.numbers["curve"], made.sheets["curve"] = curve([*before, now])
    elif before:
        report.warnings.append("There is no curve: it needs the distances that --data and --features give.")
    for path in write_report(made, out, overwrite=overwrite):
        report.wrote(path)
    shown = [f"{name}.png" for name in SHOWS_DATA if name in made.sheets]
    if shown:
        report.warnings.append(f"{', '.join(shown)} show pictures of your data sets: think before you publish them.")
    report.document["numbers"] = made.numbers
    return report


def _instruments(features: Path | None, identity: Path | None, *, device: str) -> Instruments:
    from mien.checkpoint.face_networks import read_mobilefacenet, read_mobilenet_v2
    from mien.evaluation.model_report.parts import Instruments
    from mien.files import file_digest

    digests = {
        name: file_digest(path) for name, path in (("MobileNetV2", features), ("MobileFaceNet", identity)) if path is not None
    }
    return Instruments(
        features=None if features is None else read_mobilenet_v2(features).to(device),
        identity=None if identity is None else read_mobilefacenet(identity).to(device),
        digests=digests,
    )


def _inversion(model: Model, steps: int) -> Inversion:
    from mien.evaluation.model_report.parts import Inversion
    from mien.faces.background import as_learned
    from mien.inversion import Codes, mean_code, refinement
    from mien.inversion import refine as refine_codes
    from mien.inversion.encode import encode

    learned = partial(as_learned, model)
    has_encoder = model.encoder is not None
    return Inversion(
        start=lambda crops: encode(model, learned(crops)) if has_encoder else Codes(mean_code(model, len(crops))),
        start_name="encoder" if has_encoder else "mean code",
        refine=(lambda crops, codes: refine_codes(model, learned(crops), codes, refinement(codes, steps))) if steps else None,
        refine_steps=steps,
    )
