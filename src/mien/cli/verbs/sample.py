"""`mien sample`: a sheet of faces that nobody has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import ModelFlags, Overwrite
from mien.cli.paths import check_outputs, picture_name
from mien.cli.render import find_styles
from mien.cli.report import Report
from mien.errors import InputError

EXAMPLES = (
    "mien sample -n 16 --seed 1 -o sheet.png",
    "mien sample -n 16 --seed 1 --style ink -o ink.png",
    "mien sample -n 1 --psi 1.0 --seed 7 -o face.png",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="Picture to write.", show_default=False)],
    model: ModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    count: Annotated[int, Option("--count", "-n", help="How many faces.", min=1)] = 16,
    psi: Annotated[float, Option(help="Truncation: 0 is the mean face, 1 the model's whole variety.")] = 0.7,
    seed: Annotated[int, Option(help="The same seed gives the same faces.", min=0)] = 0,
    style: Annotated[str | None, Option(help="Draw them in this style: a file or a ready one.", show_default=False)] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Draw faces that the model makes up, as one sheet, in a style if you like."""
    check_outputs([picture_name(out)], [], overwrite=overwrite)
    files = find_styles(style) if style else []
    if len(files) > 1:
        raise InputError("--style takes one style here.")

    from mien.checkpoint.style import Style
    from mien.media.images import from_tensor, write_picture
    from mien.media.sheet import sheet

    stylizer = model.stylizer(machine)
    faces = list(stylizer.sample(count, seed=seed, psi=psi, style=Style.load(files[0]) if files else None))
    columns = math.ceil(math.sqrt(count))
    rows = [faces[i : i + columns] for i in range(0, count, columns)]
    write_picture(out, from_tensor(faces[0] if count == 1 else sheet(rows, gap=0)), overwrite=True)
    report = Report()
    report.wrote(out, {"faces": count, "seed": seed, "psi": psi})
    return report
