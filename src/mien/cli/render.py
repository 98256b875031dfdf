"""What `stylize` and `apply` share: finding styles by name, and making picture after picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.paths import Job, existing
from mien.cli.result import Report, progress
from mien.render_config import RenderConfig

if TYPE_CHECKING:
    from mien.faces.config import AlignConfig
    from mien.faces.results import AlignedPhoto
    from mien.pipeline import Stylizer
    from mien.styles import Style


def find_styles(text: str) -> list[Path]:
    """The style files that `text` names: a path, the name of a ready style, several of them with commas between, or `all`."""
    from mien.styles import find_style, ready_styles

    if text == "all" and not Path(text).exists():
        return list(ready_styles().values())
    names = [text] if Path(text).exists() else [name.strip() for name in text.split(",")]
    return [existing(find_style(name)) for name in names]


def render(
    stylizer: Stylizer, styles: Sequence[Style], jobs: Sequence[Job], align: AlignConfig, config: RenderConfig, *,
    found: AlignedPhoto | None = None, quiet: bool,
) -> Report:  # fmt: skip
    """Make every job's picture; a photo that cannot be used fails alone.

    Each is read and searched once, whatever the number of styles; `found` is what is in the first, if that is known.
    """
    from mien.media.images import write_picture

    report = Report()
    with progress("photos", quiet=quiet or len(jobs) == 1) as advance:

        def one(index: int) -> None:
            nonlocal found
            job = jobs[index]
            if found is None or (index and job.photo != jobs[index - 1].photo):
                found = None
                found = stylizer.align(job.photo, align.one() if config.crop else align)
            result = stylizer.apply(styles[job.style], found, config)
            write_picture(job.out, result.picture, overwrite=True)  # whether it may be was decided before
            faces = [{"scale": round(face.scale, 3)} for face in result.faces]
            report.wrote(job.out, {"photo": str(job.photo), "style": styles[job.style].name, "faces": faces})
            advance(index + 1, len(jobs), 0.0)

        report.attempt([job.photo for job in jobs], one)
    return report
