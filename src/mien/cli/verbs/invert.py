"""`mien invert`: the model's own version of a face, and its code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.align_flags import AlignFlags
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import Inverter, InvertingModelFlags, Overwrite, Photo, inverting
from mien.cli.paths import check_outputs, existing, picture_name
from mien.cli.report import Report, progress

EXAMPLES = (
    "mien invert me.jpg -o inverted.png",
    "mien invert me.jpg --refine 100 -o inverted.png",
    "mien invert me.jpg --method iterated -o inverted.png",
    "mien invert me.jpg --method prior --steps 300 -o inverted.png",
)


def run(
    photo: Photo,
    out: Annotated[Path, Option("--out", "-o", help="Picture to write; the code goes beside it.", show_default=False)],
    align: AlignFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    method: Annotated[Inverter, inverting("method", "--method")] = "encoder",
    steps: Annotated[int | None, inverting("steps", "--steps", least=0)] = None,
    towards_mean: Annotated[float, inverting("towards_mean", "--towards-mean", least=0)] = 0.0,
    refine: Annotated[int, Option(help="Optimisation steps after that answer, in W+ and the detail map.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> Report:
    """Show how the model sees a face: the picture it draws from its own code for the photo.

    Writes that picture, and its code as a .safetensors file of the same name beside it: W+, and where one was found the detail
    map that says what no code can.
    """
    code_file = picture_name(out).with_suffix(".safetensors")
    check_outputs([out, code_file], [existing(photo)], overwrite=overwrite)

    from mien.checkpoint import format
    from mien.inversion import InvertConfig
    from mien.media.images import from_tensor, write_picture

    config, where = InvertConfig(method, steps, towards_mean), align.for_references([photo])
    stylizer = model.stylizer(machine)
    with progress("inverting", quiet=screen.quiet) as advance:
        inversion = stylizer.invert(photo, inverter=config, refine_steps=refine, align=where, progress=advance)
    write_picture(out, from_tensor(inversion.picture), overwrite=True)
    found = {"w_plus": inversion.w_plus} | ({} if inversion.detail is None else {"detail": inversion.detail})
    format.write(code_file, "code", found, {"base": stylizer.digest, "resolution": stylizer.resolution})
    report = Report()
    report.wrote(out, {"kind": "picture"})
    report.wrote(code_file, {"kind": "code"})
    return report
