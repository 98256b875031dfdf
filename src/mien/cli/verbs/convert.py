"""`mien convert`: a model in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.options import Overwrite
from mien.cli.paths import check_outputs, resolve_file
from mien.cli.result import Report

EXAMPLES = (
    "mien convert stylegan2-ffhq.pkl ffhq.safetensors",
    "mien convert model.safetensors model.pt --to rosinality",
    "mien convert big.pt small.safetensors --half",
)


def run(
    source: Annotated[Path, Argument(metavar="IN", help="Model to read: ours, .pt or NVIDIA's .pkl.")],
    target: Annotated[Path, Argument(metavar="OUT", help="File to write.")],
    screen: Screen,
    to: Annotated[
        Literal["mien", "rosinality"] | None,
        Option("--to", help="Format to write; default: mien for .safetensors, rosinality for .pt."),
    ] = None,
    kind: Annotated[
        Literal["mien", "rosinality", "nvidia"] | None,
        Option("--kind", help="Format of IN; default: detected from its content."),
    ] = None,
    half: Annotated[bool, Option("--half", help="Store half precision: half the size, no visible loss.")] = False,
    overwrite: Overwrite = False,
) -> Report:
    """Convert a model: to mien's own format, or to the common .pt that JoJoGAN and many other tools open."""
    check_outputs([target], [resolve_file(source)], overwrite=overwrite)

    from mien.checkpoint import convert

    done = convert(source, target, kind=kind, format=to, half=half, overwrite=overwrite)
    report = Report(warnings=[f"{target}: {remark}" for remark in done.remarks])
    report.wrote(target, {"format": done.format, "resolution": done.model.resolution, "bytes": target.stat().st_size})
    return report
