"""`mien apply`: photos in a style that is ready or was learned before."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from mien.cli.machine import Machine, Screen
from mien.cli.options import (
    Files,
    InvertingModel,
    Out,
    Photos,
    PresetOption,
    Regions,
    give_regions,
)
from mien.cli.render import find_styles, render
from mien.cli.result import Report
from mien.faces.config import AlignConfig
from mien.render_config import RenderConfig

EXAMPLES = (
    "mien apply ink me.jpg -o out.png",
    "mien apply comic.safetensors photos -o results",
    "mien apply all me.jpg -o results",
    "mien apply ink me.jpg --strength 0.6 --face 2 -o out.png",
    "mien apply ink me.jpg --keep eyes,mouth -o own-eyes.png",
)

TO_STDOUT = True


def run(
    style: Annotated[
        str, Argument(metavar="STYLE", help="A style file, a ready style, a fine-tuned model, several with commas, or all.")
    ],
    photos: Photos,
    out: Out,
    drawing: RenderConfig,
    align: AlignConfig,
    model: InvertingModel,
    machine: Machine,
    files: Files,
    screen: Screen,
    regions: Regions = None,
    preset: PresetOption = None,
) -> Report:
    """Put a ready or saved style on photos, about ten seconds each.

    mien models lists the styles that are ready. One photo makes a file; folders and several photos make a folder.
    """
    found = find_styles(style)
    jobs = files.plan(photos, [file.stem for file in found], out, align)
    if not jobs:
        return Report()

    from mien.styles import open_style

    stylizer = model.stylizer(machine)
    give_regions(stylizer, regions)
    styles = [open_style(file, stylizer.model) for file in found]
    return render(stylizer, styles, jobs, align, drawing, quiet=screen.quiet, overwrite=files.overwrite)
