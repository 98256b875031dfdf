"""`mien sweep`: several ways to fine-tune one model, side by side on one sheet."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.paths import existing
from mien.cli.progress import ProgressLine, stop_on_signals
from mien.cli.result import Report, progress
from mien.cli.train_flags import LoopFlags, TrainMachineFlags, wishes_of
from mien.cli.verbs.swap import pixels
from mien.cli.verbs.train import pick_bf16
from mien.errors import InputError
from mien.runtime import pick_device, set_threads

EXAMPLES = (
    "mien sweep cartoons --from faces.safetensors --kimg 40 -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 20 --methods structure:1,structure:2,structure:3 -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 40 --methods structure --cuts 8px,16px,32px -o sweep",
    "mien sweep cartoons --from faces.safetensors --kimg 40 --cuts 32px --features mobilenet_v2.tflite -o sweep",
)


def run(
    data: Annotated[Path, Argument(metavar="DATASET", help="Folder or zip of pictures.", show_default=False)],
    source: Annotated[Path, Option("--from", help="Model that every fine-tuning starts from.", show_default=False)],
    kimg: Annotated[float, Option(help="Thousands of pictures of every fine-tuning.", show_default=False, min=0.001)],
    out: Annotated[
        Path, Option("--out", "-o", help="Folder of the runs and of sheet.png; what is there is continued.", show_default=False)
    ],
    loop: LoopFlags,
    machine: TrainMachineFlags,
    screen: ScreenFlags,
    methods: Annotated[
        str, Option(help="Methods, each with a number of blocks if you like: freeze-g:2,structure:3.")
    ] = "baseline,freeze-g,freeze-sg,structure",
    cuts: Annotated[str | None, Option(help="Layer swaps with the source to show too: 16px,32px.", show_default=False)] = None,
    minutes_each: Annotated[
        float | None, Option(help="Stop each after so many minutes; the same command goes on.", min=0.0, show_default=False)
    ] = None,
    features: Annotated[
        Path | None,
        Option(help="MobileNetV2 as TFLite: measure every method with it, into table.md.", show_default=False),
    ] = None,
    samples: Annotated[
        int, Option(help="Pictures of every method to measure; at most half as many as DATASET has.", min=2)
    ] = 2500,
    seed: Annotated[int, Option(help="Start of all random numbers, the same for every method.", min=0)] = 0,
) -> Report:
    """Fine-tune one model by several methods with the same pictures and random numbers, and show the same faces in all.

    Each method is a run of mien train in its own folder.
    """
    set_threads(machine.threads)
    blocks = [pixels(word, "--cuts") for word in cuts.split(",")] if cuts else []
    if features is not None:
        existing(features)

    from mien.checkpoint.load import load_model
    from mien.editing.layer_swap import swap_weights
    from mien.evaluation.sweep import measure_sweep, parse_variant, run_sweep, sweep_pictures
    from mien.media.contact_sheet import sheet
    from mien.media.images import from_tensor, write_picture
    from mien.training.resolve import resolve
    from mien.training.session import Session

    model = load_model(source)
    for cut in blocks:
        swap_weights(model.generator.synthesis.resolutions, cut)
    variants = [parse_variant(word, model.resolution) for word in methods.split(",")]
    device = pick_device(machine.device)
    wishes = {"data": str(data), "source": str(source), "kimg": kimg, "seed": seed, "stages": (model.resolution,)}
    size = "normal" if device.type == "cuda" else "lean"
    config = resolve({**wishes, **wishes_of(loop)}, size=size, bf16=pick_bf16(device.type, machine.dtype, None))
    line = ProgressLine(silent=screen.quiet)
    with stop_on_signals() as stopped:
        fir = None if machine.fir == "auto" else machine.fir
        session = Session(device=device, max_minutes=minutes_each, fir=fir, tell=line.note, show=line.show, stop=stopped)
        outcomes = run_sweep(variants, config, out, session)
    line.end()
    if len(outcomes) < len(variants):
        raise InputError("The sweep was stopped before every method had begun: the same command goes on.")
    report = Report()
    shown = dict(sweep_pictures(out, list(outcomes), blocks, count=8))
    drawn = sheet([list(pictures) for pictures in shown.values()], row_labels=list(shown))
    write_picture(out / "sheet.png", from_tensor(drawn), overwrite=True)
    report.wrote(out / "sheet.png", {"methods": {name: o.images for name, o in outcomes.items()}, "cuts": blocks})
    if features is not None:
        with progress("measuring", quiet=screen.quiet) as advance:
            rows = measure_sweep(out, list(outcomes), blocks, data, features, samples, advance)
        report.wrote(out / "table.md", {"rows": [asdict(row) for row in rows]})
    for outcome in outcomes.values():
        report.wrote(outcome.model, {"images": outcome.images, "complete": outcome.complete})
    if not all(o.complete for o in outcomes.values()) and not screen.quiet:
        print("mien: not all methods are complete; the same command goes on.", file=sys.stderr)
    return report
