"""`mien evaluate`: styles and other methods on the same photos, by the same measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Machine, Screen
from mien.cli.named import distinct, folders, named
from mien.cli.options import Extractors, InvertingModel, Overwrite
from mien.cli.paths import photos_in, resolve_file
from mien.cli.render import find_styles
from mien.cli.result import Report, progress, table
from mien.cli.shown import EVALUATING
from mien.evaluation.config import EvaluateConfig
from mien.render_config import RenderConfig
from mien.runtime import pick_device

EXAMPLES = (
    "mien evaluate ink comic.safetensors --photos photos -o evaluation",
    "mien evaluate comic.safetensors --reference comic=reference.png --photos photos "
    "--outputs theirs=their-results --reference theirs=reference.png -o evaluation",
    "mien evaluate comic.safetensors --photos photos --set sketches -o evaluation",
)


def run(
    photos: Annotated[Path, Option(help="Folder of photos; the largest face of each counts.")],
    out: Annotated[Path, Option("--out", "-o", help="Folder to write.")],
    config: EvaluateConfig,
    drawing: Annotated[RenderConfig, EVALUATING],
    networks: Extractors,
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    styles: Annotated[
        list[str] | None, Argument(metavar="[STYLE...]", help="Style files and ready styles, as mien apply takes them.")
    ] = None,
    outputs: Annotated[
        list[str] | None,
        Option(metavar="NAME=FOLDER", help="Another method's results, with the photos' file names; repeatable."),
    ] = None,
    references: Annotated[
        list[str] | None,
        Option("--reference", metavar="NAME=IMAGE", help="Reference image of a style or method; repeatable."),
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Measure styles on photos: style similarity, identity, diversity and speed.

    Other methods can be measured by the images they made. Writes a table, its numbers and a contact sheet.
    """
    files = distinct([path for text in styles or [] for path in find_styles(text)])
    images, made_from = photos_in([photos]), named(references, "--reference")
    for path in (networks.identity, *(path for paths in made_from.values() for path in paths)):
        _ = path and resolve_file(path)

    from mien.evaluation.evaluate import evaluate, open_instruments
    from mien.evaluation.evaluation_text import FILES, write_evaluation
    from mien.evaluation.evaluation_text import table as evaluation_table
    from mien.evaluation.model_report.report_text import check_free
    from mien.styles import open_style

    check_free(out, FILES, overwrite=overwrite)
    stylizer = model.stylizer(machine) if files else None
    with progress("evaluating", quiet=screen.quiet) as advance:
        found = evaluate(
            images, open_instruments(networks.features, networks.identity, pick_device(machine.device)),
            replace(config, render=drawing), stylizer=stylizer,
            styles={name: open_style(path, stylizer.model) for name, path in files.items()} if stylizer else {},
            outputs=folders(outputs, "--outputs"), references=made_from, progress=advance,
        )  # fmt: skip
    notes = [*found.notes, f"{out / 'sheet.png'} shows people's photos: think before you publish it."]
    report = Report(_upright(*evaluation_table(found.numbers)), {"evaluation": found.numbers}, notes, found.failed)
    for path in write_evaluation(found, out, overwrite=overwrite):
        report.wrote(path)
    return report


def _upright(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table with a line for every measure: a screen is higher than wide."""
    first, *lines = zip(head, *rows, strict=True)
    return table(first, lines)
