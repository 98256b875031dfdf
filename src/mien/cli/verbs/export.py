"""`mien export`: a style as a file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.options import Overwrite
from mien.cli.paths import check_outputs
from mien.cli.render import find_styles
from mien.cli.result import Report
from mien.errors import InputError
from mien.mappers.config import Part

EXAMPLES = (
    "mien export toon -o toon.onnx",
    "mien export comic.safetensors -o comic.xml",
    "mien export toon --part encoder -o encoder.onnx",
    "mien export toon --web page --runtime onnxruntime-web-1.30.0.tgz",
)


def run(
    style: Annotated[str, Argument(metavar="STYLE", help="A style file, a ready style or a fine-tuned model.")],
    screen: Screen,
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="FILE", help="File to write: .onnx, or .xml for OpenVINO.")
    ] = None,
    web: Annotated[Path | None, Option("--web", metavar="FOLDER", help="Write a web page that runs the style instead.")] = None,
    runtime: Annotated[
        Path | None, Option("--runtime", metavar="TGZ", help="For --web: what npm pack onnxruntime-web downloads.")
    ] = None,
    part: Annotated[
        Part,
        Option(
            "--part", help="Part to write: all (crop to face and mask), encoder (crop to codes) or generator (codes to face)."
        ),
    ] = "all",
    model: Annotated[
        Path | None, Option("--model", help="The model that the style belongs to; none: the one with mien.")
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Write a style as one graph, in ONNX or OpenVINO's format, compared with PyTorch first.

    The file says what its inputs and outputs mean and how it is licensed. mien apply takes it wherever a style goes.
    """
    if (out is None) == (web is None):
        raise InputError("Say where to: --out for a file, or --web for the folder of a page.")
    [file] = find_styles(style)[:1]
    report = Report()
    if out is None:
        from mien.exporters.static_page import export_web

        report.wrote(export_web(file, Path(str(web)), runtime=runtime, model=model), {"page": "index.html"})
        return report
    check_outputs([out], [file], overwrite=overwrite)

    from mien.exporters.export_style import export

    done = export(file, out, model=model, part=part, overwrite=overwrite)
    facts = {"mean_difference": done.mean_difference, "largest_difference": done.largest_difference}
    report.wrote(out, {"part": part, "half": done.half, "bytes": done.bytes, **facts})
    return report
