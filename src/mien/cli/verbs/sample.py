"""`mien sample`: faces that nobody has, as a sheet, as strips from one to the next, or as a film."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Option

from mien.cli.align_flags import whole_numbers
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import InvertingModelFlags, Overwrite, StrengthText
from mien.cli.paths import FILMS, check_outputs, picture_name
from mien.cli.render import find_styles
from mien.cli.result import Report, progress
from mien.errors import InputError

EXAMPLES = (
    "mien sample -n 16 --seed 1 -o sheet.png",
    "mien sample -n 16 --seed 1 --style ink -o ink.png",
    "mien sample --seeds 7,21,40 --psi 1.0 --columns 3 -o three.png",
    "mien sample --seeds 7,21,40 --walk --frames 8 -o strips.png",
    "mien sample --seeds 7,21,40 --walk --style ink -o film.gif",
)


@dataclass(frozen=True)
class WalkFlags:
    """From face to face."""

    PANEL: ClassVar[str] = "From face to face"

    walk: Annotated[
        bool, Option("--walk", help="From each face to the next: strips, or in .gif and .webp a film that comes back.")
    ] = False
    frames: Annotated[int, Option(help="Pictures from one face to the next.", min=2)] = 12
    fps: Annotated[float, Option(help="Pictures per second of a film.", min=0.1, max=100)] = 12.0


def run(
    out: Annotated[Path, Option("--out", "-o", help="Picture to write; a walk also .gif or .webp.", show_default=False)],
    walking: WalkFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    count: Annotated[int, Option("--count", "-n", help="How many faces.", min=1)] = 16,
    psi: Annotated[float, Option(help="Truncation: 0 is the mean face, 1 the model's whole variety.")] = 0.7,
    seed: Annotated[int, Option(help="The same seed gives the same faces.", min=0)] = 0,
    seeds: Annotated[
        str | None,
        Option(help="The first face of each of these seeds, such as 7,21,40, in place of --count.", show_default=False),
    ] = None,
    columns: Annotated[int | None, Option(help="Faces per row; without it a square sheet.", show_default=False, min=1)] = None,
    style: Annotated[str | None, Option(help="Draw them in this style: a file or a ready one.", show_default=False)] = None,
    strength: StrengthText = "1",
    overwrite: Overwrite = False,
) -> Report:
    """Draw faces that the model makes up, as a sheet, as strips from one to the next or as a film; in a style if you like."""
    film = walking.walk and out.suffix.lower() in FILMS
    check_outputs([out if film else picture_name(out)], [], overwrite=overwrite)
    files, chosen = find_styles(style) if style else [], whole_numbers(seeds, "--seeds")
    number = len(chosen) or count
    if len(files) > 1:
        raise InputError("--style takes one style here.")
    if walking.walk and number < 2:
        raise InputError("A walk goes from face to face: give at least two with --seeds or --count.")

    from mien.editing import parse_strength, round_trip, steps_between
    from mien.media.animation import write_animation
    from mien.media.contact_sheet import sheet
    from mien.media.images import from_tensor, write_picture
    from mien.models.sampling import codes_of_seeds, random_codes
    from mien.styles import open_style

    stylizer = model.stylizer(machine)
    look, amount = open_style(files[0], stylizer.model) if files else None, parse_strength(strength)
    faces = stylizer.model.generator
    codes = codes_of_seeds(faces, chosen, psi=psi) if chosen else random_codes(faces, count, seed=seed, psi=psi)
    with progress("drawing", quiet=screen.quiet) as advance:
        if film:
            way = round_trip(codes, walking.frames)
            write_animation(out, stylizer.render_each(way, look, amount, advance), fps=walking.fps, overwrite=True)
        else:
            way = steps_between(codes, walking.frames).flatten(0, 1) if walking.walk else codes
            pictures = list(stylizer.render_each(way, look, amount, advance))
            across = columns or (walking.frames if walking.walk else math.ceil(math.sqrt(number)))
            rows = [pictures[i : i + across] for i in range(0, len(pictures), across)]
            write_picture(out, from_tensor(pictures[0] if len(pictures) == 1 else sheet(rows, gap=0)), overwrite=True)
    report = Report()
    report.wrote(out, {"faces": number, **({"seeds": chosen} if chosen else {"seed": seed}), "psi": psi})
    return report
