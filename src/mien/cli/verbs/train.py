"""`mien train`: train a model on pictures, from scratch or from another model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.progress import ProgressLine, stop_on_signals
from mien.cli.result import Report
from mien.cli.train_flags import EncoderFlags, LoopFlags, PlanFlags, RunFlags, TrainMachineFlags, wishes_of
from mien.errors import InputError
from mien.runtime import pick_device, set_threads

if TYPE_CHECKING:
    from mien.training.config import TrainConfig

EXAMPLES = (
    "mien train faces.zip -o run --grow 32,64,128 --max-minutes 600",
    "mien train cartoons -o cartoon --from faces.safetensors --method structure --kimg 100",
    "mien train faces.zip -o run --resolution 64 --weights photos=3,drawings=0.5 --dtype bfloat16",
    "mien train -o run",
)


def run(
    out: Annotated[Path, Option("--out", "-o", help="Run folder; a run that is there is continued.", show_default=False)],
    folder: RunFlags,
    loop: LoopFlags,
    encoder: EncoderFlags,
    plan: PlanFlags,
    machine: TrainMachineFlags,
    screen: ScreenFlags,
    data: Annotated[
        Path | None,
        Argument(metavar="DATASET", help="Folder or zip of pictures; of a run that is there, its own.", show_default=False),
    ] = None,
) -> Report:
    """Train a model on a folder or zip of pictures, from scratch or from another model.

    The same command continues a run, also after Ctrl-C or worse. The folder's index.html shows how it goes.
    """
    set_threads(machine.threads)
    from mien.training.distributed import Processes
    from mien.training.run import train
    from mien.training.session import Session

    device = Processes.own_device(pick_device(machine.device))
    first = os.environ.get("RANK", "0") == "0"
    config = _configuration(data, out, folder, wishes_of(loop, plan, encoder), device.type, machine.dtype)
    screen_line = ProgressLine(silent=screen.quiet or not first)
    with stop_on_signals() as stopped:
        session = Session(
            device=device,
            max_minutes=folder.max_minutes,
            part_bytes=None if folder.part_megabytes is None else int(folder.part_megabytes * 1e6),
            moments=not folder.light_state,
            memory_share=folder.memory_share,
            fir=None if machine.fir == "auto" else machine.fir,
            tell=screen_line.note,
            show=screen_line.show,
            stop=stopped,
        )
        outcome = train(config, out, session)
    screen_line.end()
    report = Report()
    if not first:  # of several processes, one speaks
        return report
    facts = {"images": outcome.images, "steps": outcome.steps, "complete": outcome.complete, "page": str(out / "index.html")}
    report.wrote(outcome.model, facts)
    if not outcome.complete and not screen.quiet:
        print(f"mien: stopped after {outcome.images} pictures; the same command goes on.", file=sys.stderr)
    return report


def _configuration(
    data: Path | None, out: Path, flags: RunFlags, wishes: dict[str, Any], device: str, dtype: str
) -> TrainConfig:
    from mien.config import from_toml
    from mien.training.config import TrainConfig
    from mien.training.resolve import changed, resolve
    from mien.training.run_folder import RunFolder

    stored = RunFolder(out).config()
    named = ("source", "seed", "kimg", "snapshot_minutes", "snapshot_kimg", "keep_kimg")
    wishes |= {name: getattr(flags, name) for name in named if getattr(flags, name) is not None}
    if flags.mirror is not None:
        wishes["mirror"] = flags.mirror == "on"
    if flags.soft_ground is not None:
        wishes["soft_ground"] = flags.soft_ground == "on"
    if flags.weights is not None:
        wishes["folder_weights"] = _weights(flags.weights)
    if data is not None:
        wishes["data"] = str(data)
    bf16 = pick_bf16(device, dtype, stored)
    if flags.config is not None:
        return changed(from_toml(TrainConfig, flags.config), wishes)
    if data is None:
        if stored is None:
            raise InputError(f"There is no run in {out} to continue: give the folder or zip of pictures to train on.")
        return changed(stored, wishes)
    if flags.stage_kimg is not None:
        wishes["stage_kimg"] = _numbers(flags.stage_kimg, "--stage-kimg", float)
    wishes["stages"] = _stages(flags, stored)
    size = flags.size or (stored.size if stored else "normal" if device == "cuda" else "lean")
    return resolve(wishes, size=size, bf16=bf16, method_name=flags.method or "")


def pick_bf16(device: str, dtype: str, stored: TrainConfig | None) -> bool:
    """Whether convolutions run in bfloat16: what was asked for, what the run began with, or what suits the device."""
    if dtype != "auto":
        return dtype == "bfloat16"
    if stored is not None:
        return stored.adversarial.bf16
    import torch

    return device == "cuda" and torch.cuda.is_bf16_supported()


def _stages(flags: RunFlags, stored: TrainConfig | None) -> tuple[int, ...]:
    if flags.grow is not None and flags.resolution is not None:
        raise InputError("--grow names all resolutions, also the last: leave --resolution away.")
    if flags.grow is not None:
        return _numbers(flags.grow, "--grow", int)
    if flags.resolution is not None:
        return (flags.resolution,)
    if stored is not None:
        return stored.stages
    if flags.source is None:
        return (64,)
    from mien.checkpoint.load import load_model

    return (load_model(flags.source).resolution,)


def _numbers(text: str, flag: str, kind: Callable[[str], Any]) -> tuple[Any, ...]:
    try:
        return tuple(kind(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(f"{flag} takes numbers with commas between them, got '{text}'.") from error


def _weights(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in text.split(","):
        name, _, number = word.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError as error:
            raise InputError(f"--weights takes FOLDER=NUMBER with commas between them, got '{text}'.") from error
    return found
