"""`mien masks`: what the layers of the model change, to choose a mask by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import InvertingModel, Overwrite
from mien.cli.paths import check_outputs, image_name, resolve_file
from mien.cli.result import Report, progress, table
from mien.faces.config import AlignConfig

EXAMPLES = (
    "mien masks -o masks.png",
    "mien masks --image reference.png -o masks.png",
    "mien masks --mask m1 --mask 32px..:rgb --mask 64up,64conv -o mine.png",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="Image to write.")],
    align: AlignConfig,
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    mask: Annotated[
        list[str] | None,
        Option(help="A mask, as for --random-layers of mien fit; repeatable. Default: every preset and layer."),
    ] = None,
    image: Annotated[Path | None, Option(help="Use the face in this image; default: a random one.")] = None,
    seed: Annotated[int, Option(help="Seed of the face and of the codes.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> Report:
    """Show what each layer and each named mask changes in a face, on one sheet.

    One row per mask of --random-layers: a face, the same with random codes in the mask's layers, and the difference.
    The percentage shows how much the random codes differ: too little gives a style artifacts.
    """
    check_outputs([image_name(out)], [resolve_file(image)] if image else [], overwrite=overwrite)

    from mien.evaluation.mask_effects import draw_masks
    from mien.media.images import from_tensor, write_image

    stylizer = model.stylizer(machine)
    with progress("masks", quiet=screen.quiet) as advance:
        drawn, shares = draw_masks(stylizer, mask or (), image=image, align=align, seed=seed, progress=advance)
    write_image(out, from_tensor(drawn), overwrite=True)
    report = Report(document={"masks": {name: round(share, 4) for name, share in shares.items()}})
    report.wrote(out, {"kind": "image"})
    report.lines += table(("mask", "change"), [(name, f"{share:.1%}") for name, share in shares.items()])
    return report
