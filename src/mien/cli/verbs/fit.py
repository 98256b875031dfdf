"""`mien fit`: learn a style and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import InvertingModel, LossNetworks, Overwrite, PresetOption, Regions, give_regions
from mien.cli.paths import check_outputs, one_by_hand, resolve_file
from mien.cli.result import Report, progress
from mien.editing.config import Control
from mien.faces.config import AlignConfig
from mien.oneshot.config import OneShotConfig, SnapshotConfig

EXAMPLES = (
    "mien fit reference.png -o comic.safetensors",
    "mien fit one.png two.png three.png -o painter.safetensors --steps 500 --batch 2",
    "mien fit cat.jpg --extreme -o cat.safetensors",
    "mien fit reference.png --exaggerate eyes=0.7 -o big-eyes.safetensors",
    "mien fit reference.png --steps auto --previews watch --preview-every 25 -o comic.safetensors",
    "mien fit reference.png --steps 500 --state comic-state -o comic.safetensors",
)


def run(
    references: Annotated[list[Path], Argument(metavar="REFERENCE...", help="One or more images of one style.")],
    out: Annotated[Path, Option("--out", "-o", help="Style file to write (.safetensors).")],
    config: OneShotConfig,
    networks: LossNetworks,
    parts: Control,
    snapshots: SnapshotConfig,
    align: AlignConfig,
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    regions: Regions = None,
    preset: PresetOption = None,
    overwrite: Overwrite = False,
) -> Report:
    """Learn a style from one image, or a few, and save it as a small file for `mien apply`."""
    images = [resolve_file(path) for path in references]
    check_outputs([out], images, overwrite=overwrite)
    one_by_hand(align, images)

    from mien.oneshot.callbacks import check_previews

    check_previews(snapshots, overwrite=overwrite)
    identity, stylizer = networks.opened(config), model.stylizer(machine)
    stylizer.identity_network = identity
    give_regions(stylizer, regions)
    with progress("learning the style", quiet=screen.quiet) as advance:
        style = stylizer.fit(
            images, config, align=align, control=parts,
            snapshots=snapshots, progress=advance,
        )  # fmt: skip
    style.save(out, overwrite=overwrite)
    report = Report()
    report.wrote(out, {"kind": "style", "name": style.name, "base": style.base, "bytes": out.stat().st_size})
    return report
