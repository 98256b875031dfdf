"""`mien fit`: learn a style and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.align_flags import AlignFlags
from mien.cli.control_flags import ControlFlags
from mien.cli.fit_flags import FitFlags
from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.options import InvertingModelFlags, Overwrite, PresetOption
from mien.cli.paths import check_outputs, existing
from mien.cli.result import Report, progress

EXAMPLES = (
    "mien fit reference.png -o comic.safetensors",
    "mien fit one.png two.png three.png -o painter.safetensors --steps 500 --batch 2",
    "mien fit cat.jpg --extreme -o cat.safetensors",
    "mien fit reference.png --exaggerate eyes=0.7 -o big-eyes.safetensors",
    "mien fit reference.png --steps auto --previews watch --preview-every 25 -o comic.safetensors",
    "mien fit reference.png --steps 500 --state comic-state -o comic.safetensors",
)


def run(
    references: Annotated[
        list[Path], Argument(metavar="REFERENCE...", help="One picture or a few of one style.", show_default=False)
    ],
    out: Annotated[Path, Option("--out", "-o", help="Style file to write (.safetensors).", show_default=False)],
    fit: FitFlags,
    parts: ControlFlags,
    align: AlignFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    preset: PresetOption = None,
    overwrite: Overwrite = False,
) -> Report:
    """Learn a style from one picture, or a few, and save it as a small file for mien apply."""
    pictures = [existing(path) for path in references]
    check_outputs([out], pictures, overwrite=overwrite)

    config, where, snapshots = fit.config(), align.for_references(pictures), fit.snapshots(overwrite=overwrite)
    control, stylizer, identity = parts.control(), model.stylizer(machine), fit.identity()
    parts.give_regions(stylizer)
    with progress("learning the style", quiet=screen.quiet) as advance:
        style = stylizer.fit(
            pictures, config, align=where, loss_network=fit.judge(), identity=identity,
            control=control, snapshots=snapshots, progress=advance,
        )  # fmt: skip
    style.save(out, overwrite=overwrite)
    report = Report()
    report.wrote(out, {"kind": "style", "name": style.name, "base": style.base, "bytes": out.stat().st_size})
    return report
