"""`mien sample`: random synthetic faces, as a grid, as rows from one to the next, or as an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import InvertingModel, Overwrite
from mien.cli.paths import check_outputs, image_name
from mien.cli.render import find_styles
from mien.cli.result import Report, progress
from mien.cli.shown import ONLY_STRENGTH
from mien.errors import InputError
from mien.evaluation.config import SampleConfig
from mien.render_config import RenderConfig

EXAMPLES = (
    "mien sample -n 16 --seed 1 -o sheet.png",
    "mien sample -n 16 --seed 1 --style ink -o ink.png",
    "mien sample --seeds 7,21,40 --psi 1.0 --columns 3 -o three.png",
    "mien sample --seeds 7,21,40 --interpolate --frames 8 -o interpolation.png",
    "mien sample --seeds 7,21,40 --interpolate --style ink -o animation.gif",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="Image to write; an interpolation also .gif or .webp.")],
    faces: SampleConfig,
    drawing: Annotated[RenderConfig, ONLY_STRENGTH],
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    style: Annotated[str | None, Option(help="Style to draw them in: a file or a ready one.")] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Draw random synthetic faces, optionally in a style: a grid, interpolations, or an animation."""
    files = find_styles(style) if style else []
    if len(files) > 1:
        raise InputError("`style` takes one style here.")

    from mien.evaluation.random_faces import draw_faces, is_animation
    from mien.styles import open_style

    check_outputs([out if is_animation(out, faces) else image_name(out)], [], overwrite=overwrite)
    stylizer = model.stylizer(machine)
    look = open_style(files[0], stylizer.model) if files else None
    with progress("drawing", quiet=screen.quiet) as advance:
        draw_faces(stylizer, out, faces, style=look, strength=drawing.strength, progress=advance)
    report = Report()
    which = {"seeds": faces.seeds} if faces.seeds else {"seed": faces.seed}
    report.wrote(out, {"faces": len(faces.seeds) or faces.count, **which, "psi": faces.psi})
    return report
