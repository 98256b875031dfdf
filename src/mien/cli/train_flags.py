"""The options of `mien train`, and which settings they change."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from typer import Option

from mien.cli.options import told
from mien.config import Setting, settings_in_source
from mien.runtime import Device, Fir

_RUN = settings_in_source("mien.training.config", "TrainConfig")
_LOOP = settings_in_source("mien.training.config", "AdversarialConfig")
_REBUILD = settings_in_source("mien.training.config", "ReconstructionConfig")
_PLAN = settings_in_source("mien.training.config", "PlanConfig")


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
    feature_code_share: Annotated[
        float | None, _wish(_REBUILD["feature_code_share"], "--encoder-feature-code-share", least=0)
    ] = None


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
    fir: Annotated[
        Fir, Option(help="How the low-pass filter is computed; auto measures it on a GPU (see `mien bench --filters`).")
    ] = "auto"


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
