"""`mien inspect`: what a weights file is, without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.options import Overwrite
from mien.cli.paths import check_outputs, image_name, resolve_file, write_out
from mien.cli.result import Report, pairs
from mien.cli.terminal_image import half_blocks, shows_colors
from mien.errors import InputError, MienError

if TYPE_CHECKING:
    from mien.checkpoint import FileInfo

EXAMPLES = (
    "mien inspect model.pt",
    "mien inspect ink -o ink.png",
    "mien inspect comic.safetensors stylegan2-ffhq.pkl --json",
)


def run(
    files: Annotated[list[Path], Argument(metavar="FILE...", help="Models, styles, encoders of any origin.")],
    screen: Screen,
    out: Annotated[Path | None, Option("--out", "-o", help="Write a preview of the style or model.")] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Show what is in weights files: kind, size, parts, license, origin, oddities. Nothing in them is executed.

    Shows a preview of styles and models where the terminal supports it.
    """
    from mien.checkpoint import inspect_file

    paths = [resolve_file(path) for path in files]
    report = Report(document={"files": []})
    if out is not None:
        write_preview(paths, out, report, overwrite=overwrite)

    def one(index: int) -> None:
        info = inspect_file(paths[index])
        if shows_colors() and not screen.json and not screen.quiet:
            show_preview(paths[index])
        report.document["files"].append(info.as_json())
        report.warnings += [f"{info.path}: {warning}" for warning in info.warnings]
        report.lines += [*pairs(_facts(info)), ""]

    report.attempt(paths, one)
    return report


def write_preview(paths: list[Path], out: Path, report: Report, *, overwrite: bool) -> None:
    """Write the preview of the one file that is named."""
    if len(paths) > 1:
        raise InputError(f"`out` is the image of one file, and {len(paths)} are named: give one.")
    check_outputs([image_name(out)], paths, overwrite=overwrite)

    from mien.media.image_input import as_image
    from mien.styles import preview

    write_out(out, as_image(preview(paths[0])), overwrite=overwrite)
    report.wrote(out, {"preview": str(paths[0])})


def show_preview(path: Path) -> None:
    """Print a small image of a style or model; nothing of a file that draws nothing or is broken, which is said elsewhere."""
    from mien.styles import preview

    try:
        lines = half_blocks(preview(path))
    except MienError:
        return
    print("\n".join(lines))


def _facts(info: FileInfo) -> dict[str, str]:
    facts = {
        "file": info.path,
        "is": info.summary,
        "size": f"{info.size / 1e6:.1f} MB",
        "sha256": info.sha256,
        "hash": info.digest,
        "images": f"{info.resolution} px" if info.resolution else "",
        "numbers in": ", ".join(f"{part} {count:,}" for part, count in info.parameters.items())
        if len(info.parameters) < 6
        else "",
        "channels": ", ".join(f"{size} px {width}" for size, width in info.channels.items()),
        "license": info.license,
        "source": info.provenance.get("source", ""),
    }
    return {name: value for name, value in facts.items() if value}
