"""`mien inspect`: what a weights file is, without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from mien.cli.machine import Screen
from mien.cli.paths import existing
from mien.cli.result import Report, pairs

if TYPE_CHECKING:
    from mien.checkpoint import FileInfo

EXAMPLES = (
    "mien inspect model.pt",
    "mien inspect comic.safetensors stylegan2-ffhq.pkl --json",
)


def run(
    files: Annotated[list[Path], Argument(metavar="FILE...", help="Models, styles, encoders of any origin.")],
    screen: Screen,
) -> Report:
    """Say what weights files are: kind, size, parts, license, where they come from, what is odd. Nothing in them is run."""
    from mien.checkpoint import inspect_file

    paths = [existing(path) for path in files]
    report = Report(document={"files": []})

    def one(index: int) -> None:
        info = inspect_file(paths[index])
        report.document["files"].append(info.as_json())
        report.warnings += [f"{info.path}: {warning}" for warning in info.warnings]
        report.lines += [*pairs(_facts(info)), ""]

    report.attempt(paths, one)
    return report


def _facts(info: FileInfo) -> dict[str, str]:
    facts = {
        "file": info.path,
        "is": info.summary,
        "size": f"{info.size / 1e6:.1f} MB",
        "sha256": info.sha256,
        "hash": info.digest,
        "pictures": f"{info.resolution} px" if info.resolution else "",
        "numbers in": ", ".join(f"{part} {count:,}" for part, count in info.parameters.items())
        if len(info.parameters) < 6
        else "",
        "channels": ", ".join(f"{size} px {width}" for size, width in info.channels.items()),
        "licence": info.licence,
        "source": info.provenance.get("source", ""),
    }
    return {name: value for name, value in facts.items() if value}
