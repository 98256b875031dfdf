"""`mien invert`: the model's own version of a face, and its code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.align_flags import AlignFlags
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import Inverter, InvertingModelFlags, JudgeOfLooks, JudgeOfPeople, Overwrite, inverting
from mien.cli.paths import check_outputs, existing, photos_in, picture_name
from mien.cli.result import Report, progress, table
from mien.errors import InputError

EXAMPLES = (
    "mien invert me.jpg -o inverted.png",
    "mien invert me.jpg --refine 100 -o inverted.png",
    "mien invert me.jpg --method iterated -o inverted.png",
    "mien invert me.jpg --method prior --steps 300 -o inverted.png",
    "mien invert photos --compare -o comparison",
)


def run(
    photos: Annotated[list[Path], Argument(metavar="PHOTO", help="The photo.", show_default=False)],
    out: Annotated[Path, Option("--out", "-o", help="Picture to write; the code goes beside it.", show_default=False)],
    align: AlignFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    method: Annotated[Inverter, inverting("method", "--method")] = "encoder",
    steps: Annotated[int | None, inverting("steps", "--steps", least=0)] = None,
    towards_mean: Annotated[float, inverting("towards_mean", "--towards-mean", least=0)] = 0.0,
    refine: Annotated[int, Option(help="Optimisation steps after that answer, in W+ and the detail map.", min=0)] = 0,
    compare: Annotated[
        bool, Option("--compare", help="All methods beside each other, on any number of photos; -o is a folder.")
    ] = False,
    features: JudgeOfLooks = None,
    identity: JudgeOfPeople = None,
    overwrite: Overwrite = False,
) -> Report:
    """Show how the model sees a face: the picture it draws from its own code for the photo.

    Writes that picture, and its code as a .safetensors file of the same name beside it: W+, and where one was found the detail
    map that says what no code can. With --compare a table of all methods instead: likeness, time, and a contact sheet.
    """
    pictures = photos_in(photos)
    if compare:
        if method != "encoder" or towards_mean or refine:
            raise InputError("--compare takes all methods: leave out --method, --towards-mean and --refine.")
        return _compare(pictures, out, steps, (features, identity), align, model, machine, screen, overwrite=overwrite)
    if len(pictures) != 1 or features or identity:
        raise InputError("One photo becomes one picture: give one, or --compare for a table (--features, --identity) of many.")
    code_file = picture_name(out).with_suffix(".safetensors")
    check_outputs([out, code_file], pictures, overwrite=overwrite)

    from mien.checkpoint import native
    from mien.inversion import InvertConfig
    from mien.media.images import from_tensor, write_picture
    from mien.render_config import RenderConfig

    config = RenderConfig(inverter=InvertConfig(method, steps, towards_mean), refine_steps=refine)
    where = align.for_references(pictures)
    stylizer = model.stylizer(machine)
    with progress("inverting", quiet=screen.quiet) as advance:
        inversion = stylizer.invert(pictures[0], config, align=where, progress=advance)
    write_picture(out, from_tensor(inversion.picture), overwrite=True)
    found = {"w_plus": inversion.w_plus} | ({} if inversion.detail is None else {"detail": inversion.detail})
    native.write(code_file, "code", found, {"base": stylizer.digest, "resolution": stylizer.resolution})
    report = Report()
    report.wrote(out, {"kind": "picture"})
    report.wrote(code_file, {"kind": "code"})
    return report


def _compare(
    photos: list[Path], out: Path, steps: int | None, networks: tuple[Path | None, Path | None], align: AlignFlags,
    model: InvertingModelFlags, machine: MachineFlags, screen: ScreenFlags, *, overwrite: bool,
) -> Report:  # fmt: skip
    if align.face or align.box or align.landmarks:
        raise InputError("--compare takes the largest face of every photo: leave out --face, --box and --landmarks.")
    features, identity = (path and existing(path) for path in networks)

    from mien.evaluation.comparison import FILES, compare_inverters, usual_ways, write_comparison
    from mien.evaluation.evaluate import open_judges
    from mien.evaluation.model_report.report_text import check_free

    check_free(out, FILES, overwrite=overwrite)
    stylizer = model.stylizer(machine)
    ways, judges = usual_ways(stylizer.model.encoder is not None, steps), open_judges(features, identity, stylizer.device)
    with progress("comparing", quiet=screen.quiet) as advance:
        made = compare_inverters(stylizer, photos, judges, ways, aligned=align.aligned, progress=advance)
    report = Report(table(*made.table()), {"comparison": made.numbers}, failed=made.failed)
    for path in write_comparison(made, out, overwrite=overwrite):
        report.wrote(path)
    report.warnings.append(f"{out / FILES[0]} shows people's photos: think before you publish it.")
    return report
