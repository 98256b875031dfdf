"""`mien stylize`: a photo and an image in, the photo in the image's style out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.batch.config import BatchConfig, FilesConfig
from mien.cli.machine import Machine, Screen
from mien.cli.options import (
    Compare,
    InvertingModel,
    LossNetworks,
    Out,
    Photos,
    PresetOption,
    Regions,
    give_regions,
)
from mien.cli.paths import check_outputs, one_by_hand, plan, resolve_file
from mien.cli.render import apply_here, follow, keep_style, learned_already
from mien.cli.result import Report, progress
from mien.cli.shown import BESIDE_LEARNING, DRAWING, OF_THE_REFERENCE
from mien.cli.verbs import apply
from mien.editing.config import Control
from mien.faces.config import AlignConfig
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.render_config import RenderConfig

EXAMPLES = (
    "mien stylize me.jpg --style reference.png -o out.png",
    "mien stylize photos --style reference.png -o results --steps 200",
    "mien stylize me.jpg --style a.png --style b.png --style c.png --save-style comic.safetensors -o out.png",
    "mien stylize me.jpg --style reference.png --color photo --strength 0.8 --refine 100 -o out.png",
    "mien stylize me.jpg --style cat.jpg --extreme -o out.png",
)

TO_STDOUT = True


def run(
    photos: Photos,
    style: Annotated[list[Path], Option("--style", "-s", help="Reference image; repeat it to learn one style from several.")],
    out: Out,
    config: OneShotConfig,
    drawing: Annotated[RenderConfig, DRAWING],
    networks: LossNetworks,
    parts: Control,
    snapshots: SnapshotConfig,
    align: AlignConfig,
    style_align: Annotated[AlignConfig, OF_THE_REFERENCE],
    model: InvertingModel,
    machine: Machine,
    files: Annotated[FilesConfig, BESIDE_LEARNING],
    screen: Screen,
    save_style: Annotated[Path | None, Option(help="Also save the style, for `mien apply`.")] = None,
    compare: Compare = False,
    regions: Regions = None,
    preset: PresetOption = None,
) -> Report:
    """Redraw every face in your photos in the style of a reference image.

    Learning takes a minute or two. --save-style keeps the style for `mien apply`.
    """
    if ready := learned_already(style, save_style):
        many = BatchConfig(**vars(files))
        return apply.run(ready, photos, out, drawing, align, model, machine, many, screen, compare, regions=regions)
    references, saved = [resolve_file(path) for path in style], [save_style] if save_style else []
    jobs, _ = plan(photos, [references[0].stem], out, files, align)
    if not jobs:
        return Report()
    check_outputs([*saved, *(job.out for job in jobs)], [*references, *(job.photo for job in jobs)], overwrite=files.overwrite)
    one_by_hand(style_align, references)

    from mien.batch.work import Order
    from mien.oneshot.callbacks import check_previews

    check_previews(snapshots, overwrite=files.overwrite)
    identity, stylizer = networks.opened(config), model.stylizer(machine)
    stylizer.identity_network = identity
    give_regions(stylizer, regions)
    # A single photo that cannot be used is reported before the style is learned. Its faces are found only once.
    order = Order(drawing, align, files.overwrite, compare)
    single = stylizer.align(jobs[0].photo, order.drawn) if len(jobs) == 1 else None
    with progress("learning the style", quiet=screen.quiet) as advance:
        learned = stylizer.fit(references, config, align=style_align, control=parts, snapshots=snapshots, progress=advance)
    dones = apply_here(stylizer, [learned], jobs, order, aligned_photo=single)
    report = follow(dones, len(jobs), quiet=screen.quiet, alone=len(jobs) == 1)
    return keep_style(learned, saved, report, overwrite=files.overwrite)
