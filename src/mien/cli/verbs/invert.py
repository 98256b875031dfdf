"""`mien invert`: the model's own version of a face, and its code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import Extractors, InvertingModel, Overwrite
from mien.cli.paths import check_outputs, image_name, one_by_hand, photos_in, resolve_file
from mien.cli.result import Report, progress, table
from mien.errors import InputError
from mien.faces.config import AlignConfig
from mien.inversion.config import InvertConfig
from mien.render_config import RenderConfig

EXAMPLES = (
    "mien invert me.jpg -o inverted.png",
    "mien invert me.jpg --refine 100 -o inverted.png",
    "mien invert me.jpg --method iterated -o inverted.png",
    "mien invert me.jpg --method prior --steps 300 -o inverted.png",
    "mien invert photos --compare -o comparison",
)


def run(
    photos: Annotated[list[Path], Argument(metavar="PHOTO...", help="The photo.")],
    out: Annotated[Path, Option("--out", "-o", help="Image to write; the code goes beside it.")],
    inversion: Annotated[dict[str, Any], InvertConfig],
    align: AlignConfig,
    networks: Extractors,
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    refine_steps: Annotated[
        int, Option("--refine", help="Optimization steps after that, in W+ and the feature code.", min=0)
    ] = 0,
    compare: Annotated[bool, Option("--compare", help="Compare all methods on any number of photos; -o is a folder.")] = False,
    overwrite: Overwrite = False,
) -> Report:
    """Show what the model makes of a face: the photo is inverted, and its code rendered.

    Writes the image and, beside it as .safetensors, the code: W+, and the feature code where there is
    one. With --compare it writes a table of all methods instead: identity, time, and a contact sheet.
    """
    images = photos_in(photos)
    if compare:
        if inversion.keys() - {"steps"} or refine_steps:
            raise InputError("`compare` takes all methods: leave out `method`, `towards_mean` and `refine_steps`.")
        return _compare(images, out, inversion.get("steps"), align, networks, model, machine, screen, overwrite=overwrite)
    if len(images) != 1 or networks != Extractors():
        raise InputError("One photo becomes one image: give one, or `compare` for a table (`features`, `identity`) of many.")
    code_file = image_name(out).with_suffix(".safetensors")
    check_outputs([out, code_file], images, overwrite=overwrite)
    one_by_hand(align, images)

    from mien.checkpoint import native
    from mien.media.images import from_tensor, write_image

    drawing, stylizer = RenderConfig(inverter=InvertConfig(**inversion), refine_steps=refine_steps), model.stylizer(machine)
    with progress("inverting", quiet=screen.quiet) as advance:
        found = stylizer.invert(images[0], drawing, align=align, progress=advance)
    write_image(out, from_tensor(found.rendering), overwrite=True)
    code = {"w_plus": found.w_plus} | ({} if found.feature_code is None else {"detail": found.feature_code})
    native.write(code_file, "code", code, {"base": stylizer.digest, "resolution": stylizer.resolution})
    report = Report()
    report.wrote(out, {"kind": "image"})
    report.wrote(code_file, {"kind": "code"})
    return report


def _compare(
    photos: list[Path], out: Path, steps: int | None, align: AlignConfig, networks: Extractors, model: InvertingModel,
    machine: Machine, screen: Screen, *, overwrite: bool,
) -> Report:  # fmt: skip
    if align != AlignConfig(aligned=align.aligned):
        raise InputError("`compare` takes the largest face of every photo: leave out `face`, `box` and `landmarks`.")
    identity = networks.identity and resolve_file(networks.identity)

    from mien.evaluation.comparison import FILES, compare_inverters, usual_ways, write_comparison
    from mien.evaluation.evaluate import open_instruments
    from mien.evaluation.model_report.report_text import check_free

    check_free(out, FILES, overwrite=overwrite)
    stylizer = model.stylizer(machine)
    ways = usual_ways(stylizer.model.encoder is not None, steps)
    instruments = open_instruments(networks.features, identity, stylizer.device)
    with progress("comparing", quiet=screen.quiet) as advance:
        made = compare_inverters(stylizer, photos, instruments, ways, aligned=align.aligned, progress=advance)
    report = Report(table(*made.table()), {"comparison": made.numbers}, failed=made.failed)
    for path in write_comparison(made, out, overwrite=overwrite):
        report.wrote(path)
    report.warnings.append(f"{out / FILES[0]} shows people's photos: think before you publish it.")
    return report
