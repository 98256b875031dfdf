"""`mien dataset`: pictures as they come, made ready for training."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import Overwrite, told
from mien.cli.result import Report, progress
from mien.config import settings_in_source

EXAMPLES = (
    "mien dataset photos -o faces.zip",
    "mien dataset photos drawings.zip -o faces --resolution 128 --soft-ground",
    "mien dataset comics.zip -o comics-96.zip --no-align --resolution 96 --min-side 90",
)

_CROPS = settings_in_source("mien.dataset.config", "CropConfig")
_SELECTION = settings_in_source("mien.dataset.config", "SelectionConfig")
_FEW = 16  # pictures for which another process is not worth its start


@dataclass(frozen=True)
class CropFlags:
    """What is cut out of the pictures."""

    PANEL: ClassVar[str] = "The crops"

    resolution: Annotated[int, told(_CROPS["resolution"], "--resolution", least=8)] = 256
    face: Annotated[Literal["all", "largest"], told(_CROPS["face"], "--face")] = "all"
    no_align: Annotated[
        bool, Option("--no-align", help="Look for no faces: take the middle square, as of crops that are aligned already.")
    ] = False
    soft_ground: Annotated[bool, told(_CROPS["soft_ground"], "--soft-ground")] = False
    format: Annotated[Literal["png", "webp", "jpg"], told(_CROPS["format"], "--format")] = "png"


@dataclass(frozen=True)
class SelectionFlags:
    """What is good enough."""

    PANEL: ClassVar[str] = "What is kept"

    min_side: Annotated[
        int | None,
        Option(help="Pixels of the source that a crop must cover; without it half of --resolution.", min=0, show_default=False),
    ] = None
    min_sharpness: Annotated[float, told(_SELECTION["min_sharpness"], "--min-sharpness", least=0)] = 0.07
    alike: Annotated[int, told(_SELECTION["alike"], "--alike", least=0)] = 20


def run(
    sources: Annotated[
        list[Path], Argument(metavar="SOURCE...", help="Folders (nested), zips, or pictures.", show_default=False)
    ],
    out: Annotated[Path, Option("--out", "-o", help="What to write: a zip where the name ends so, else a folder.")],
    crops: CropFlags,
    selection: SelectionFlags,
    screen: ScreenFlags,
    workers: Annotated[
        int | None, Option(help="Processes at work; without it one per core, of few pictures one.", min=1, show_default=False)
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Make training data: find and align the faces, and drop what is double, small, blurred or broken.

    Sub-folders are kept: `mien train --weights` takes their names. Stopped with Ctrl-C, the same command goes on.
    """
    from mien.dataset.config import CropConfig, SelectionConfig
    from mien.dataset.prepare import prepare_dataset
    from mien.media.collection import picture_names

    wanted = CropConfig(crops.resolution, not crops.no_align, crops.face, crops.soft_ground, crops.format)
    if workers is None:
        count = sum(len(picture_names(source)) for source in sources)
        workers = max(1, min(os.cpu_count() or 1, count // _FEW))
    try:
        with progress("pictures", quiet=screen.quiet) as advance:
            made = prepare_dataset(
                sources, out, wanted, SelectionConfig(selection.min_side, selection.min_sharpness, selection.alike),
                workers=workers, overwrite=overwrite, progress=advance,
            )  # fmt: skip
    except KeyboardInterrupt:
        if not screen.quiet:
            print("mien: what was done is kept; the same command goes on.", file=sys.stderr)
        raise
    report = Report()
    facts: dict[str, Any] = {name: value for name, value in made.document().items() if name not in ("pictures", "left_out")}
    report.wrote(out, facts)
    report.lines += made.summary()
    return report
