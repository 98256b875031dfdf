"""`mien stylize`: a photo and a picture in, the photo in the picture's style out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.align_flags import AlignFlags, StyleAlignFlags, speaking_of_the_reference
from mien.cli.control_flags import ControlFlags
from mien.cli.fit_flags import FitFlags
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import InvertingModelFlags, Out, Overwrite, Photos, PresetOption, RenderFlags
from mien.cli.paths import check_outputs, existing, plan
from mien.cli.render import render
from mien.cli.result import Report, progress

EXAMPLES = (
    "mien stylize me.jpg --style reference.png -o out.png",
    "mien stylize photos --style reference.png -o results --steps 200",
    "mien stylize me.jpg --style a.png --style b.png --style c.png --save-style comic.safetensors -o out.png",
    "mien stylize me.jpg --style reference.png --color photo --strength 0.8 --refine 100 -o out.png",
    "mien stylize me.jpg --style cat.jpg --extreme -o out.png",
)


def run(
    photos: Photos,
    style: Annotated[list[Path], Option("--style", "-s", help="Reference; several: one style of all.", show_default=False)],
    out: Out,
    fit: FitFlags,
    parts: ControlFlags,
    style_align: StyleAlignFlags,
    align: AlignFlags,
    render_flags: RenderFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    save_style: Annotated[Path | None, Option(help="Also save the style, for `mien apply`.", show_default=False)] = None,
    preset: PresetOption = None,
    overwrite: Overwrite = False,
) -> Report:
    """Redraw every face in photos in the style of one picture.

    Learns the style first (about a minute), then renders. To use a style again, save it and take mien apply.
    """
    references = [existing(path) for path in style]
    jobs = plan(photos, [references[0].stem], out, overwrite=overwrite)
    if save_style:
        check_outputs([save_style], [*references, *(job.photo for job in jobs)], overwrite=overwrite)
    check_outputs([job.out for job in jobs], references, overwrite=overwrite)

    config, where = fit.config(), align.for_photos(jobs, crop=render_flags.crop)
    with speaking_of_the_reference():
        where_references = style_align.for_references(references)
    control, snapshots = parts.control(), fit.snapshots(overwrite=overwrite)
    stylizer, identity = model.stylizer(machine), fit.identity()
    parts.give_regions(stylizer)
    # One photo that cannot be used is told before the style is learned, and what was found in it is kept.
    first = stylizer.align(jobs[0].photo, where) if len(jobs) == 1 else None
    with progress("learning the style", quiet=screen.quiet) as advance, speaking_of_the_reference():
        learned = stylizer.fit(
            references, config, align=where_references, loss_network=fit.judge(), control=control,
            identity=identity, snapshots=snapshots, progress=advance,
        )  # fmt: skip
    if save_style:
        learned.save(save_style, overwrite=overwrite)
    report = render(stylizer, [learned], jobs, where, render_flags, found=first, quiet=screen.quiet)
    if save_style:
        report.wrote(save_style, {"kind": "style", "name": learned.name})
    return report
