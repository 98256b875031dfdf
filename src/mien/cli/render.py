"""What `stylize` and `apply` share: finding styles by name, and making picture after picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.paths import Job, existing, write_out
from mien.cli.result import Report, progress
from mien.errors import InputError, MienWarning
from mien.media.listing import refuse_picture_as_style
from mien.render_config import RenderConfig
from mien.shipped import find_style, ready_styles, shipped

if TYPE_CHECKING:
    from mien.faces.config import AlignConfig
    from mien.faces.results import AlignedPhoto
    from mien.pipeline import Stylizer
    from mien.styles import Style


_WEIGHTS = (".safetensors", ".pt", ".pth", ".pkl", ".ckpt")


def find_styles(text: str) -> list[Path]:
    """The style files that `text` names: a path, the name of a ready style, several of them with commas between, or `all`."""
    if text == "all" and not Path(text).is_file():
        return list(ready_styles().values())
    plain = str(Path(text).expanduser()) if text.startswith("~") else text
    names = [plain] if Path(plain).exists() else [name.strip() for name in plain.split(",")]
    files = [existing(find_style(name)) for name in names]
    for file in files:
        refuse_picture_as_style(file)
    return files


def learned_already(references: Sequence[Path], save_style: Path | None) -> str | None:
    """The ready style, style file or model among what should be references, which needs no learning; None: pictures.

    Raises `InputError` where it is to be mixed with others, or saved again.
    """
    ready = [path for path in references if shipped(path, "styles") or path.suffix.lower() in _WEIGHTS]
    if not ready:
        return None
    if len(references) > 1 or save_style is not None:
        raise InputError(f"{ready[0]} is a style that is learned already: give it alone, or to `mien apply`.")
    text = f"{ready[0]} is a style that is learned already, and is put on as `mien apply {ready[0]}` does."
    warnings.warn(text, MienWarning, stacklevel=2)
    return str(ready[0])


def render(
    stylizer: Stylizer, styles: Sequence[Style], jobs: Sequence[Job], align: AlignConfig, config: RenderConfig, *,
    found: AlignedPhoto | None = None, quiet: bool, overwrite: bool = False,
) -> Report:  # fmt: skip
    """Make every job's picture; a photo that cannot be used fails alone.

    Each is read and searched once, whatever the number of styles; `found` is what is in the first, if that is known.
    """
    report = Report()
    with progress("photos", quiet=quiet or len(jobs) == 1) as advance:

        def one(index: int) -> None:
            nonlocal found
            job = jobs[index]
            if found is None or (index and job.photo != jobs[index - 1].photo):
                found = None
                found = stylizer.align(job.photo, align.one() if config.crop else align)
            result = stylizer.apply(styles[job.style], found, config)
            write_out(job.out, result.picture, overwrite=overwrite)
            faces = [{"scale": round(face.scale, 3)} for face in result.faces]
            report.wrote(job.out, {"photo": str(job.photo), "style": styles[job.style].name, "faces": faces})
            advance(index + 1, len(jobs), 0.0)

        report.attempt([job.photo for job in jobs], one)
    return report


def keep_style(style: Style, paths: Sequence[Path], report: Report, *, overwrite: bool) -> None:
    """Save a style where it was asked for, and report that."""
    for path in paths:
        style.save(path, overwrite=overwrite)
        report.wrote(path, {"kind": "style", "name": style.name})
