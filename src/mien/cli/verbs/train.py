"""`mien train`: train a model on pictures, from scratch or from another model."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.options import told
from mien.cli.report import Report
from mien.config import Setting, settings_in_source
from mien.errors import InputError
from mien.runtime import Device, pick_device, set_threads

if TYPE_CHECKING:
    from mien.finetune.train_config import TrainConfig

EXAMPLES = (
    "mien train faces.zip -o run --grow 32,64,128 --max-minutes 600",
    "mien train cartoons -o cartoon --from faces.safetensors --method structure --kimg 100",
    "mien train faces.zip -o run --resolution 64 --weights photos=3,drawings=0.5 --dtype bfloat16",
    "mien train -o run",
)

_RUN = settings_in_source("mien.finetune.train_config", "TrainConfig")
_LOOP = settings_in_source("mien.finetune.adversarial", "AdversarialConfig")
_REBUILD = settings_in_source("mien.finetune.reconstruct", "ReconstructionConfig")
_PLAN = settings_in_source("mien.finetune.freeze", "PlanConfig")

_SHOWN = ("structure", "pixels", "features", "identity", "r1", "path_length")


def _wish(setting: Setting, *flags: str, least: float | None = None) -> Any:
    option = told(setting, *flags, least=least)
    option.show_default = False
    return option


@dataclass(frozen=True)
class RunFlags:
    """What is trained, how long, and how often it is saved."""

    PANEL: ClassVar[str] = "The run"

    source: Annotated[
        str | None, Option("--from", help="Model to start from; without it from scratch.", show_default=False)
    ] = None
    resolution: Annotated[
        int | None, Option(help="Side of the pictures: 64, 128, ...; without it the source's, or 64.", show_default=False)
    ] = None
    grow: Annotated[
        str | None, Option(help="Train small first and append blocks: 32,64,128. The model of each stage is kept.")
    ] = None
    stage_kimg: Annotated[
        str | None, Option(help="Thousands of pictures of every stage but the last: 80,250.", show_default=False)
    ] = None
    size: Annotated[
        Literal["lean", "normal", "large"] | None,
        Option(help="Preset of width and settings; without it lean on a CPU, normal on a GPU.", show_default=False),
    ] = None
    method: Annotated[
        Literal["baseline", "freeze-g", "freeze-sg", "structure"] | None,
        Option(help="A fine-tuning method with its usual numbers; the options under 'The plan' change them."),
    ] = None
    config: Annotated[
        Path | None, Option(help="TOML file as in a run folder, for everything that has no option.", show_default=False)
    ] = None
    weights: Annotated[str | None, Option(help="How often folders are drawn, relative to 1: photos=3,drawings=0.5.")] = None
    mirror: Annotated[Literal["on", "off"] | None, Option(help="Flip pictures at random; on unless told otherwise.")] = None
    soft_ground: Annotated[Literal["on", "off"] | None, _wish(_RUN["soft_ground"], "--soft-ground")] = None
    seed: Annotated[int | None, _wish(_RUN["seed"], "--seed", least=0)] = None
    kimg: Annotated[float | None, _wish(_RUN["kimg"], "--kimg", least=0)] = None
    max_minutes: Annotated[float | None, Option(help="Stop after so many minutes, with a snapshot.", min=0.0)] = None
    snapshot_minutes: Annotated[float | None, _wish(_RUN["snapshot_minutes"], "--snapshot-minutes", least=0)] = None
    snapshot_kimg: Annotated[float | None, _wish(_RUN["snapshot_kimg"], "--snapshot-kimg", least=0)] = None
    keep_kimg: Annotated[float | None, _wish(_RUN["keep_kimg"], "--keep-kimg", least=0)] = None
    part_megabytes: Annotated[
        float | None, Option(help="Write the training state in parts of at most so many megabytes.", min=0.01)
    ] = None
    memory_share: Annotated[
        float,
        Option(help="Share of the free memory for the pictures; if they need more, they lie in a file.", min=0.0, max=1.0),
    ] = 0.5
    light_state: Annotated[
        bool, Option("--light-state", help="States leave out Adam's moments: two fifths smaller, but another run goes on.")
    ] = False


@dataclass(frozen=True)
class LoopFlags:
    """The adversarial loop; without them the preset's."""

    PANEL: ClassVar[str] = "The loop"

    batch: Annotated[int | None, _wish(_LOOP["batch"], "--batch", least=1)] = None
    micro_batch: Annotated[int | None, _wish(_LOOP["micro_batch"], "--micro-batch", least=0)] = None
    learning_rate: Annotated[float | None, _wish(_LOOP["learning_rate"], "--learning-rate", least=0)] = None
    r1_gamma: Annotated[float | None, _wish(_LOOP["r1_gamma"], "--r1-gamma", least=0)] = None
    pl_weight: Annotated[float | None, _wish(_LOOP["pl_weight"], "--pl-weight", least=0)] = None
    mixing: Annotated[float | None, _wish(_LOOP["mixing"], "--mixing", least=0)] = None
    ema_kimg: Annotated[float | None, _wish(_LOOP["ema_kimg"], "--ema-kimg", least=0)] = None
    noise: Annotated[Literal["on", "off"] | None, _wish(_LOOP["noise"], "--noise")] = None
    ada_target: Annotated[float | None, _wish(_LOOP["ada_target"], "--ada-target", least=0)] = None
    ada_kimg: Annotated[float | None, _wish(_LOOP["ada_kimg"], "--ada-kimg", least=0)] = None
    augment: Annotated[
        str | None,
        Option(
            metavar="LETTERS",
            help="What ADA may do, or none: b blits, g geometry, c colour, f filter, n noise and cutout; without it bgc.",
        ),
    ] = None


@dataclass(frozen=True)
class EncoderFlags:
    """An encoder trained beside the generator."""

    PANEL: ClassVar[str] = "The encoder"

    share: Annotated[float | None, _wish(_REBUILD["share"], "--encoder-share", least=0)] = None
    learning_rate: Annotated[float | None, _wish(_REBUILD["learning_rate"], "--encoder-learning-rate", least=0)] = None
    pixels: Annotated[float | None, _wish(_REBUILD["pixels"], "--encoder-pixels", least=0)] = None
    features: Annotated[float | None, _wish(_REBUILD["features"], "--encoder-features", least=0)] = None
    identity: Annotated[float | None, _wish(_REBUILD["identity"], "--encoder-identity", least=0)] = None
    prior: Annotated[float | None, _wish(_REBUILD["prior"], "--encoder-prior", least=0)] = None
    detail_share: Annotated[float | None, _wish(_REBUILD["detail_share"], "--encoder-detail", least=0)] = None


@dataclass(frozen=True)
class PlanFlags:
    """What fine-tuning keeps."""

    PANEL: ClassVar[str] = "The plan"

    freeze_d: Annotated[int | None, _wish(_PLAN["freeze_d"], "--freeze-d", least=0)] = None
    freeze_g: Annotated[int | None, _wish(_PLAN["freeze_g"], "--freeze-g", least=0)] = None
    freeze_styles: Annotated[int | None, _wish(_PLAN["freeze_styles"], "--freeze-styles", least=0)] = None
    freeze_mapping: Annotated[Literal["on", "off"] | None, _wish(_PLAN["freeze_mapping"], "--freeze-mapping")] = None
    structure: Annotated[int | None, _wish(_PLAN["structure"], "--structure", least=0)] = None
    structure_weight: Annotated[float | None, _wish(_PLAN["structure_weight"], "--structure-weight", least=0)] = None
    structure_on: Annotated[Literal["features", "rgb"] | None, _wish(_PLAN["structure_on"], "--structure-on")] = None
    structure_code: Annotated[Literal["source", "own"] | None, _wish(_PLAN["structure_code"], "--structure-code")] = None


@dataclass(frozen=True)
class TrainMachineFlags:
    """Where training computes."""

    PANEL: ClassVar[str] = "Machine"

    device: Annotated[Device, Option(help="Where to compute; auto takes CUDA, then MPS, then the CPU.")] = "auto"
    threads: Annotated[int | None, Option(help="CPU threads; without it one per core.", show_default=False, min=1)] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Option(help="Type of the convolutions; auto takes bfloat16 on GPUs that have it."),
    ] = "auto"


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
    from mien.finetune.processes import Processes
    from mien.finetune.train import Session, train

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


def wishes_of(loop: LoopFlags, plan: PlanFlags | None = None, encoder: EncoderFlags | None = None) -> dict[str, Any]:
    """What was asked for, by dotted names."""
    found: dict[str, Any] = {}
    groups = (("adversarial", loop), ("plan", plan or PlanFlags()), ("reconstruction", encoder or EncoderFlags()))
    for group, flags in groups:
        found |= {f"{group}.{f.name}": getattr(flags, f.name) for f in fields(flags) if getattr(flags, f.name) is not None}
    letters = found.pop("adversarial.augment", None)
    if letters is not None:
        found["augment"] = "" if letters == "none" else letters
    for switch in ("plan.freeze_mapping", "adversarial.noise"):
        if switch in found:
            found[switch] = found[switch] == "on"
    return found


def _configuration(
    data: Path | None, out: Path, flags: RunFlags, wishes: dict[str, Any], device: str, dtype: str
) -> TrainConfig:
    from mien.config import from_toml
    from mien.finetune.run_folder import RunFolder
    from mien.finetune.train_config import TrainConfig, changed, resolve

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


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a polite kill set a flag, so that a step is finished and a snapshot written; a second one ends at once."""
    asked = threading.Event()

    def handle(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        print("\nmien: finishing the step and writing a snapshot; once more to stop at once.", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ProgressLine:
    """One line on stderr that follows the training, where stderr is a terminal; a line per report elsewhere."""

    def __init__(self, *, silent: bool) -> None:
        self.silent, self.alive, self.width = silent, sys.stderr.isatty(), 0

    def note(self, text: str) -> None:
        """Lines that stay."""
        if not self.silent:
            self.end()
            print(text, file=sys.stderr)

    def show(self, line: Mapping[str, Any]) -> None:
        """The newest statistics."""
        if self.silent:
            return
        text = progress_text(line)
        if self.alive:
            print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
            self.width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the live line."""
        if self.alive and self.width:
            print(file=sys.stderr)
            self.width = 0


def progress_text(line: Mapping[str, Any]) -> str:
    """Statistics in one line for people."""
    parts = [
        f"{line['px']} px  {line['images'] / 1000:.1f}k pictures  {line['images_per_second']:.1f}/s",
        f"G {line['generator']:.3f}  D {line['discriminator']:.3f}",
    ]
    parts += [
        f"{name} {line[name]:.3g}"
        for name in ("structure", "pixels", "features", "identity", "r1", "path_length")
        if name in line
    ]
    parts.append(f"r_t {line['real_sign']:.2f}  ADA p {line['ada_p']:.3f}")
    if line["seconds_left"] is not None:
        minutes = round(line["seconds_left"] / 60)
        parts.append(f"{minutes // 60} h {minutes % 60:02d} min left" if minutes >= 60 else f"{minutes} min left")
    return "  ".join(parts)
