"""`mien evaluate`: styles and other methods on the same photos, by the same measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.flags import MachineFlags, ScreenFlags
from mien.cli.named import distinct, folders, named
from mien.cli.options import (
    DrawFlags,
    InvertingModelFlags,
    JudgeOfLooks,
    JudgeOfPeople,
    OutputsAre,
    Overwrite,
    PhotosAligned,
)
from mien.cli.paths import existing, photos_in
from mien.cli.render import find_styles
from mien.cli.result import Report, progress, table
from mien.runtime import pick_device

EXAMPLES = (
    "mien evaluate ink comic.safetensors --photos photos -o evaluation",
    "mien evaluate comic.safetensors --reference comic=reference.png --photos photos "
    "--outputs theirs=their-results --reference theirs=reference.png -o evaluation",
    "mien evaluate comic.safetensors --photos photos --set sketches --features mobilenet_v2.tflite -o evaluation",
)


def run(
    photos: Annotated[Path, Option(help="Folder of photos; the largest face of each counts.", show_default=False)],
    out: Annotated[Path, Option("--out", "-o", help="Folder to write.", show_default=False)],
    draw: DrawFlags,
    model: InvertingModelFlags,
    machine: MachineFlags,
    screen: ScreenFlags,
    styles: Annotated[
        list[str] | None,
        Argument(metavar="[STYLE...]", help="Style files and ready styles, as mien apply takes them.", show_default=False),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=FOLDER",
            help="What another method made of the photos: files called as the photos are; repeated for several methods.",
            show_default=False,
        ),
    ] = None,
    outputs_are: OutputsAre = "auto",
    reference: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=PICTURE",
            help="What a style or method was made from; repeated for several. Without it the small one in the style's file.",
            show_default=False,
        ),
    ] = None,
    aligned: PhotosAligned = False,
    reference_aligned: Annotated[
        bool, Option("--reference-aligned", help="The references are aligned square crops: look for no face.")
    ] = False,
    own_set: Annotated[
        Path | None,
        Option(
            "--set",
            help="Folder or zip of aligned pictures in the style, not the reference: adds Frechet and kernel distance.",
            show_default=False,
        ),
    ] = None,
    features: JudgeOfLooks = None,
    identity: JudgeOfPeople = None,
    overwrite: Overwrite = False,
) -> Report:
    """Measure styles on photos: near to the reference, true to the people, as different as they are, and how long it takes.

    Other methods are measured beside them in pictures that they made. Writes a table, its numbers and a contact sheet.
    """
    files = distinct([path for text in styles or [] for path in find_styles(text)])
    pictures = photos_in([photos])
    for path in (features, identity, *(path for paths in named(reference, "--reference").values() for path in paths)):
        if path is not None:
            existing(path)

    from mien.evaluation.config import EvaluateConfig
    from mien.evaluation.evaluate import evaluate, open_judges
    from mien.evaluation.evaluation_text import FILES, write_evaluation
    from mien.evaluation.evaluation_text import table as evaluation_table
    from mien.evaluation.model_report.report_text import check_free
    from mien.styles import open_style

    check_free(out, FILES, overwrite=overwrite)
    stylizer = model.stylizer(machine) if files else None
    config = EvaluateConfig(draw.config(), aligned, reference_aligned, outputs_are, own_set)
    with progress("evaluating", quiet=screen.quiet) as advance:
        found = evaluate(
            pictures, open_judges(features, identity, pick_device(machine.device)), config, stylizer=stylizer,
            styles={name: open_style(path, stylizer.model) for name, path in files.items()} if stylizer else {},
            outputs=folders(outputs, "--outputs"), references=named(reference, "--reference"), progress=advance,
        )  # fmt: skip
    head, rows = evaluation_table(found.numbers)
    # A screen is higher than wide: one line for every measure.
    first, *lines = zip(head, *rows, strict=True)
    report = Report(table(first, lines), {"evaluation": found.numbers}, found.notes, found.failed)
    for path in write_evaluation(found, out, overwrite=overwrite):
        report.wrote(path)
    report.warnings.append(f"{out / 'sheet.png'} shows people's photos: think before you publish it.")
    return report
