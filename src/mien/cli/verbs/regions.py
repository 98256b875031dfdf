"""`mien regions`: the parts of a face as a model draws them, and the channels that drive them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import ModelChoice, Overwrite
from mien.cli.paths import check_outputs
from mien.cli.result import Report, progress, table
from mien.errors import InputError

EXAMPLES = (
    "mien regions -o regions.safetensors",
    "mien regions --model other.safetensors -o other-regions.safetensors",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="File to write (.safetensors); an image goes beside it.")],
    model: ModelChoice,
    machine: Machine,
    screen: Screen,
    seed: Annotated[int, Option(help="Seed of the random faces.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> Report:
    """Find the parts of the face in a model: where they are in its images, and which channels of S drive them.

    The file is for --regions of fit, stylize and apply, which otherwise compute it again. The image shows the parts in random
    faces.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out} must end in .safetensors: the image beside it ends in .png.")
    image = out.with_suffix(".png")
    check_outputs([out, image], [], overwrite=overwrite)

    from mien.editing.regions_sheet import draw_regions
    from mien.media.images import from_tensor, write_image

    stylizer = model.stylizer(machine)
    with progress("faces", quiet=screen.quiet) as advance:
        found = stylizer.find_regions(seed=seed, progress=advance)
    found.save(out)
    write_image(image, from_tensor(draw_regions(stylizer.model.generator, found)), overwrite=True)
    report = Report(document={"channels": found.counts()})
    report.wrote(out, {"kind": "regions", "base": found.base})
    report.wrote(image, {"kind": "image"})
    report.lines += table(("part", "channels"), list(found.counts().items()))
    return report
