"""Settings of the measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from mien.render_config import RenderConfig

Shows = Literal["auto", "photos", "crops"]
"""What pictures of other methods show: whole photos, aligned face crops, or as the proportions of each tell."""


@dataclass(frozen=True)
class BenchConfig:
    """What to measure."""

    resolution: Annotated[int, "side of the pictures in pixels"] = 256
    channel_base: Annotated[int, "channels: min(channel_max, channel_base / size); 32768 is channel multiplier 2"] = 32768
    channel_max: Annotated[int, "most channels of any block"] = 512
    rounds: Annotated[int, "measurements of each side, interleaved; medians are reported"] = 5
    bf16: Annotated[bool, "measure bfloat16 beside float32"] = True


@dataclass(frozen=True)
class BlindConfig:
    """How the sheets are made."""

    seed: Annotated[int, "start of the shuffle of pairs and sides"] = 0
    rows: Annotated[int, "pairs on each sheet"] = 6
    aligned: Annotated[bool, "the photos are face crops already"] = False
    reference_aligned: Annotated[bool, "the reference is a face crop already"] = False
    outputs_are: Annotated[Shows, "what the methods' pictures show: whole photos, face crops, or as proportions tell"] = "auto"


@dataclass(frozen=True)
class EvaluateConfig:
    """How styles are drawn, and how pictures are read."""

    render: Annotated[RenderConfig, "how styles are drawn"] = field(default_factory=RenderConfig)
    aligned: Annotated[bool, "the photos are face crops already"] = False
    references_aligned: Annotated[bool, "the references are face crops already"] = False
    outputs_are: Annotated[
        Shows, "what the pictures of other methods show: whole photos, face crops, or as proportions tell"
    ] = "auto"
    style_set: Annotated[
        Path | None,
        "folder or zip of aligned images in the style, not the reference: adds Frechet and kernel distance",
    ] = None


@dataclass(frozen=True)
class ReportConfig:
    """How much is measured."""

    samples: Annotated[int, "samples, and pictures of each half of the training set, that are compared"] = 2500
    psis: Annotated[tuple[float, ...], "truncations of the sweep; 0.7 and 1 are always among them"] = (0.5, 0.7, 0.85, 1.0)
    held_out: Annotated[int | None, "pictures of the held-out set that are inverted; None: all"] = None
    seed: Annotated[int, "seed of the samples and of the halves"] = 0
    batch: Annotated[int, "pictures at a time"] = 16

    def __post_init__(self) -> None:
        if self.samples < 2 or self.batch < 1 or (self.held_out is not None and self.held_out < 1):
            raise ValueError("samples must be at least 2, batch and held_out at least 1")


QUICK = ReportConfig(samples=400, psis=(0.7, 1.0), held_out=16)
"""A few minutes instead of half an hour; its distances compare with those of other quick reports only."""
