"""What `stylize` and `apply` share: finding styles by name, and making image after image."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mien.batch.config import FilesConfig
from mien.batch.plan import Job
from mien.cli.paths import check_outputs, image_name, photos_in, resolve_file, write_out
from mien.cli.result import Report, progress
from mien.cli.streams import STDOUT
from mien.errors import InputError, MienWarning
from mien.media.listing import refuse_image_as_style
from mien.shipped import find_style, ready_styles, shipped

if TYPE_CHECKING:
    from mien.batch.cluster import Task
    from mien.batch.work import Done, Order
    from mien.cli.machine import Machine
    from mien.cli.options import InvertingModel
    from mien.faces.results import AlignedPhoto
    from mien.pipeline import Stylizer
    from mien.styles import Style, StyleLike


_WEIGHTS = (".safetensors", ".pt", ".pth", ".pkl", ".ckpt")


def find_styles(text: str) -> list[Path]:
    """The style files that `text` names: a path, the name of a ready style, several of them with commas between, or `all`."""
    if text == "all" and not Path(text).is_file():
        return list(ready_styles().values())
    plain = str(Path(text).expanduser()) if text.startswith("~") else text
    names = [plain] if Path(plain).exists() else [name.strip() for name in plain.split(",")]
    files = [resolve_file(find_style(name)) for name in names]
    for file in files:
        refuse_image_as_style(file)
    return files


def styles_of_people(text: str) -> list[Path | None]:
    """The style files of the people of a video, by number: names with commas between, `none` for somebody left as they are."""
    if Path(text).expanduser().exists():
        return [*find_styles(text)]
    names = [name.strip() for name in text.split(",")]
    return [None if name.lower() == "none" else find_styles(name)[0] for name in names]


def learned_already(references: Sequence[Path], save_style: Path | None) -> str | None:
    """The ready style, style file or model among what should be references, which needs no learning; None: images.

    Raises `InputError` where it is to be mixed with others, or saved again.
    """
    ready = [path for path in references if shipped(path, "styles") or path.suffix.lower() in _WEIGHTS]
    if not ready:
        return None
    if len(references) > 1 or save_style is not None:
        raise InputError(f"{ready[0]} is an already learned style: give it alone, or use `mien apply`.")
    text = f"{ready[0]} is an already learned style, and is applied as with `mien apply {ready[0]}` does."
    warnings.warn(text, MienWarning, stacklevel=2)
    return str(ready[0])


def follow(dones: Iterator[Done], count: int, *, quiet: bool, alone: bool) -> Report:
    """Follow images as they are made; a photo that cannot be used fails alone, one that is `alone` raises its error."""
    report, begun = Report(), time.monotonic()
    with progress("photos", quiet=quiet or count == 1, rate=True) as advance:
        for number, done in enumerate(dones, 1):
            if done.error is None:
                faces = None if done.faces is None else [{"scale": scale} for scale in done.faces]
                report.wrote(done.job.out, {"photo": str(done.job.photo), "style": done.style, "faces": faces})
            elif alone:
                raise done.error
            else:
                report.failed[str(done.job.photo)] = str(done.error)
            advance(number, count, 0.0)
    seconds = time.monotonic() - begun
    if count > 1:
        speed = count / max(seconds, 1e-9)
        report.document |= {"seconds": round(seconds, 3), "images_per_second": round(speed, 3)}
        if not quiet:
            print(f"mien: {count} images in {seconds:.0f} s, {speed:.2f}/s", file=sys.stderr)
    return report


def apply_here(
    stylizer: Stylizer, styles: Sequence[StyleLike], jobs: Sequence[Job], order: Order, *,
    aligned_photo: AlignedPhoto | None = None,
) -> Iterator[Done]:  # fmt: skip
    """Make the jobs' images in this process; `aligned_photo` is the first photo, if its faces were found before."""
    from mien.batch.work import each_done

    looks, write = [stylizer.style(style) for style in styles], partial(write_out, overwrite=order.overwrite)
    return each_done(stylizer, looks, jobs, order, aligned_photo=aligned_photo, write=write)


def sheet_inputs(photos: Sequence[Path], out: Path, files: FilesConfig) -> list[Path]:
    """The photos of a contact sheet, whose file is free."""
    found = photos_in(photos, recursive=files.recursive)
    if str(out) != STDOUT:
        check_outputs([image_name(out)], found, overwrite=files.overwrite)
    return found


def write_sheet(
    stylizer: Stylizer, styles: Sequence[Path], photos: Sequence[Path], out: Path, order: Order, *, quiet: bool
) -> Report:
    """Draw photos in styles on one contact sheet, and write it."""
    from mien.many_styles import style_sheet
    from mien.media.image_input import as_image

    looks, report = [stylizer.style(file) for file in styles], Report()
    with progress("images", quiet=quiet) as advance:
        image = style_sheet(photos, looks, order.config, align=order.align, model=stylizer, progress=advance)
    write_out(out, as_image(image), overwrite=order.overwrite)
    report.wrote(out, {"photos": list(map(str, photos)), "styles": [look.name for look in looks]})
    return report


def task_of(order: Order, styles: Sequence[Path], model: InvertingModel, machine: Machine, regions: Path | None) -> Task:
    """What the workers of a cluster are to load."""
    from mien.batch.cluster import Task

    names = tuple(map(str, styles))
    return Task(order, names, model.model, model.encoder, regions, machine.device, machine.dtype, machine.threads or 1)


def keep_style(style: Style, paths: Sequence[Path], report: Report, *, overwrite: bool) -> Report:
    """Save a style where it was asked for, and add that to the report."""
    for path in paths:
        style.save(path, overwrite=overwrite)
        report.wrote(path, {"kind": "style", "name": style.name})
    return report
