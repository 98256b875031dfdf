"""`mien swap`: one model's low resolutions, another one's high resolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.batch.plan import WRITABLE
from mien.cli.machine import Screen
from mien.cli.options import Overwrite
from mien.cli.paths import check_outputs, resolve_file
from mien.cli.result import Report
from mien.cli.shown import pixels
from mien.editing.config import Side
from mien.errors import InputError

EXAMPLES = (
    "mien swap faces.safetensors cartoon.safetensors --at 32px -o swapped.safetensors",
    "mien swap faces.safetensors cartoon.safetensors --at 16px --blend 2 -o soft.safetensors",
    "mien swap faces.safetensors cartoon.safetensors --at 8px,16px,32px,64px -o sheet.png",
)


def run(
    low: Annotated[Path, Argument(metavar="LOW", help="Model for the blocks below the cut.")],
    high: Annotated[Path, Argument(metavar="HIGH", help="Model for the blocks from the cut on.")],
    at: Annotated[str, Option("--at", help="The first block of HIGH; several for a sheet: 16px,32px.")],
    out: Annotated[Path, Option("--out", "-o", help="Model to write (.safetensors), or an image: a sheet.")],
    screen: Screen,
    blend: Annotated[float, Option(help="Blocks over which the two are mixed around the cut; 0 is a hard cut.", min=0.0)] = 0.0,
    mapping: Annotated[Side, Option(help="Whose mapping network, encoder and codes the result takes.")] = "low",
    seed: Annotated[int, Option(help="Seed of the faces on a sheet.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> Report:
    """Join a model and one fine-tuned from it: low resolutions of LOW (shape, pose), high ones of HIGH (texture, line).

    With an image as output, a sheet shows the same faces in LOW, every cut, and HIGH.
    """
    cuts, sheet = pixels(at), out.suffix.lower() in WRITABLE
    if len(cuts) > 1 and not sheet:
        raise InputError(f"{out} is one model, and there are {len(cuts)} cuts: give one, or an image for a sheet.")
    models = [resolve_file(low), resolve_file(high)]
    check_outputs([out], models, overwrite=overwrite)

    from mien.checkpoint.load import load_model
    from mien.checkpoint.model_file import write_model
    from mien.editing.layer_swap import swap_layers
    from mien.editing.swap_sheet import draw_swaps
    from mien.media.images import from_tensor, write_image

    below, above = (load_model(path) for path in models)
    swapped = {f"{cut} px": swap_layers(below, above, cut, blend=blend, mapping=mapping) for cut in cuts}
    report = Report()
    if sheet:
        drawn = draw_swaps({"low": below, **swapped, "high": above}, seed=seed)
        write_image(out, from_tensor(drawn), overwrite=True)
        report.wrote(out, {"cuts": cuts})
    else:
        write_model(out, next(iter(swapped.values())))
        report.wrote(out, {"kind": "model", "at": cuts[0], "blend": blend, "mapping": mapping})
    return report
