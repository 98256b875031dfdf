"""`mien apply`: photos in a style that is ready or was learned before."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from mien.batch.config import BatchConfig
from mien.cli.machine import Machine, Screen
from mien.cli.options import Compare, InvertingModel, Out, Photos, PresetOption, Regions, give_regions
from mien.cli.paths import plan
from mien.cli.render import apply_here, find_styles, follow, sheet_inputs, task_of, write_sheet
from mien.cli.result import Report
from mien.faces.config import AlignConfig
from mien.faces.dlib_detector import make_detector_ahead
from mien.render_config import RenderConfig
from mien.shipped import ready_styles

EXAMPLES = (
    "mien apply ink me.jpg -o out.png",
    "mien apply comic.safetensors photos -o results",
    "mien apply all me.jpg --sheet -o sheet.png",
    "mien apply ink photos -o results --skip-existing --report results.jsonl",
    "mien apply ink me.jpg --strength 0.6 --face 2 -o out.png",
    "mien apply ink me.jpg --keep eyes,mouth -o own-eyes.png",
)

TO_STDOUT = True


def run(
    style: Annotated[
        str,
        Argument(
            metavar="STYLE",
            help="A style file, ready style or fine-tuned model; several separated by commas; or all.",
            autocompletion=lambda: [*ready_styles(), "all"],
        ),
    ],
    photos: Photos,
    out: Out,
    drawing: RenderConfig,
    align: AlignConfig,
    model: InvertingModel,
    machine: Machine,
    files: BatchConfig,
    screen: Screen,
    compare: Compare = False,
    sheet: Annotated[bool, Option("--sheet", help="Write one contact sheet: each photo, then its styles.")] = False,
    regions: Regions = None,
    preset: PresetOption = None,
) -> Report:
    """Apply a ready or saved style to photos, a few seconds each.

    `mien models` lists the ready styles. One photo makes a file; several, or a folder, make a folder.
    """
    found = find_styles(style)
    names = [file.stem for file in found]
    jobs, there = ([], []) if sheet else plan(photos, names, out, files, align)
    images = sheet_inputs(photos, out, files) if sheet else []

    from mien.batch.apply_folder import recorded
    from mien.batch.cluster import each_done_on_ray
    from mien.batch.work import Order

    order = Order(drawing, align, files.overwrite, compare)
    if files.ray:
        task = task_of(order, found, model, machine, regions)
        dones = each_done_on_ray(task, jobs, files)
    elif jobs or sheet:
        if not (align.aligned or align.box or align.landmarks):
            make_detector_ahead()
        stylizer = model.stylizer(machine)
        give_regions(stylizer, regions)
        if sheet:
            return write_sheet(stylizer, found, images, out, order, quiet=screen.quiet)
        dones = apply_here(stylizer, found, jobs, order)
    else:
        dones = iter(())
    told = recorded(dones, there, names, files.report)
    return follow(told, len(jobs), quiet=screen.quiet, alone=len(jobs) + len(there) == 1)
