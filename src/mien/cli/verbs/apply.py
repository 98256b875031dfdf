"""`mien apply`: photos in a style that is ready or was learned before."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from mien.cli.align_flags import AlignFlags
from mien.cli.control_flags import ControlFlags
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import InvertingModelFlags, Out, Overwrite, Photos, PresetOption, RenderFlags
from mien.cli.paths import plan
from mien.cli.render import find_styles, render
from mien.cli.result import Report

EXAMPLES = (
    "mien apply ink me.jpg -o out.png",
    "mien apply comic.safetensors photos -o results",
    "mien apply all me.jpg -o results",
    "mien apply ink me.jpg --strength 0.6 --face 2 -o out.png",
    "mien apply ink me.jpg --keep eyes,mouth -o own-eyes.png",
)


def run(
    style: Annotated[
        str,
        Argument(
            metavar="STYLE",
            help="A style file, a ready style, a model fine-tuned from the face model, several with commas, or all ready ones.",
            show_default=False,
        ),
    ],
    photos: Photos,
    out: Out,
    align: AlignFlags,
    render_flags: RenderFlags,
    parts: ControlFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    preset: PresetOption = None,
    overwrite: Overwrite = False,
) -> Report:
    """Put a ready or saved style on photos, a few seconds each.

    mien models lists the styles that are ready. One photo makes a file; folders and several photos make a folder.
    """
    files = find_styles(style)
    jobs = plan(photos, [file.stem for file in files], out, overwrite=overwrite)

    from mien.styles import open_style

    where = align.for_photos(jobs, crop=render_flags.crop)
    control, stylizer = parts.control(), model.stylizer(machine)
    parts.give_regions(stylizer)
    styles = [open_style(file, stylizer.model) for file in files]
    return render(stylizer, styles, jobs, where, render_flags, control=control, quiet=screen.quiet)
