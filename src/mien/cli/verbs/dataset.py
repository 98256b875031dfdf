"""`mien dataset`: images as they come, made ready for training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.options import Overwrite
from mien.cli.result import Report, progress
from mien.dataset.config import CropConfig, SelectionConfig

EXAMPLES = (
    "mien dataset photos -o faces.zip",
    "mien dataset photos drawings.zip -o faces --resolution 128 --blurred-background",
    "mien dataset comics.zip -o comics-96.zip --no-align --resolution 96 --min-side 90",
)


def run(
    sources: Annotated[list[Path], Argument(metavar="SOURCE...", help="Folders (nested), zips, or images.")],
    out: Annotated[Path, Option("--out", "-o", help="What to write: a .zip file or a folder.")],
    crops: CropConfig,
    selection: SelectionConfig,
    screen: Screen,
    workers: Annotated[
        int | None, Option(help="Worker processes; default: one per core, or one for few images.", hidden=True)
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Make training data: find and align the faces, and drop duplicates and small, blurred or corrupt images.

    Sub-folders are kept: `mien train --weights` takes their names. Stopped with Ctrl-C, the same command goes on.
    """
    from mien.dataset.prepare import prepare_dataset

    try:
        with progress("images", quiet=screen.quiet) as advance:
            made = prepare_dataset(sources, out, crops, selection, workers=workers, overwrite=overwrite, progress=advance)
    except KeyboardInterrupt:
        if not screen.quiet:
            print("mien: what was done is kept; the same command goes on.", file=sys.stderr)
        raise
    report = Report()
    report.wrote(out, {name: value for name, value in made.document().items() if name not in ("images", "left_out")})
    report.lines += made.summary()
    return report
