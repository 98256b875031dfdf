"""`mien swap`: one model's low resolutions, another one's high resolutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import Overwrite
from mien.cli.paths import WRITABLE, check_outputs, existing
from mien.cli.result import Report
from mien.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mien.models.model import Model

EXAMPLES = (
    "mien swap faces.safetensors cartoon.safetensors --at 32px -o swapped.safetensors",
    "mien swap faces.safetensors cartoon.safetensors --at 16px --blend 2 -o soft.safetensors",
    "mien swap faces.safetensors cartoon.safetensors --at 8px,16px,32px,64px -o sheet.png",
)


def run(
    low: Annotated[Path, Argument(metavar="LOW", help="Model that gives the blocks below the cut.", show_default=False)],
    high: Annotated[Path, Argument(metavar="HIGH", help="Model that gives the blocks from the cut on.", show_default=False)],
    at: Annotated[str, Option("--at", help="The first block of HIGH; several for a sheet: 16px,32px.", show_default=False)],
    out: Annotated[
        Path, Option("--out", "-o", help="Model to write (.safetensors), or a picture: a sheet.", show_default=False)
    ],
    screen: ScreenFlags,
    blend: Annotated[float, Option(help="Blocks over which the two are mixed around the cut; 0 is a hard cut.", min=0.0)] = 0.0,
    mapping: Annotated[Literal["low", "high"], Option(help="Whose mapping network, encoder and codes the model has.")] = "low",
    seed: Annotated[int, Option(help="Which faces a sheet shows.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> Report:
    """Join two models of one family: the low resolutions of LOW (shape, pose) and the high ones of HIGH (texture, line).

    With a picture as output, a sheet shows the same faces in LOW, in every cut, and in HIGH.
    """
    models = [existing(low), existing(high)]
    cuts = [pixels(word, "--at") for word in at.split(",")]
    sheet = out.suffix.lower() in WRITABLE
    if len(cuts) > 1 and not sheet:
        raise InputError(f"-o {out} is one model, and there are {len(cuts)} cuts: give one, or a picture for a sheet.")
    check_outputs([out], models, overwrite=overwrite)

    from mien.checkpoint.load import load_model
    from mien.checkpoint.model_file import write_model
    from mien.editing.layer_swap import swap_layers

    below, above = (load_model(path) for path in models)
    swapped = [swap_layers(below, above, cut, blend=blend, mapping=mapping) for cut in cuts]
    report = Report()
    if sheet:
        _write_sheet(out, [below, *swapped, above], ["low", *(f"{cut} px" for cut in cuts), "high"], seed)
        report.wrote(out, {"cuts": cuts})
    else:
        write_model(out, swapped[0])
        report.wrote(out, {"kind": "model", "at": cuts[0], "blend": blend, "mapping": mapping})
    return report


def pixels(word: str, flag: str) -> int:
    """The number in a block size such as 32px."""
    number = word.strip().removesuffix("px").strip()
    if not number.isdecimal():
        raise InputError(f"{flag} takes block sizes such as 32px, or several: 16px,32px; got '{word}'.")
    return int(number)


def _write_sheet(out: Path, models: list[Model], labels: list[str], seed: int) -> None:
    from mien.media.contact_sheet import sheet
    from mien.media.images import from_tensor, write_picture
    from mien.training.samples import sample_pictures

    columns: list[Tensor] = [sample_pictures(model.generator, 6, seed=seed) for model in models]
    rows = [[column[i] for column in columns] for i in range(6)]
    write_picture(out, from_tensor(sheet(rows, column_labels=labels)), overwrite=True)
