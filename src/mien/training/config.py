"""What a training run is: its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Literal

from mien.errors import InputError
from mien.runtime import Fir
from mien.training.ranges import out_of_range

CudaGraphs = Literal["auto", "on", "off"]
Size = Literal["lean", "normal", "large"]
Method = Literal["baseline", "freeze-g", "freeze-sg", "structure"]
LETTERS = "bgcfn"
"""Augmentations: blits, geometry, color, filter, noise and cutout."""


@dataclass(frozen=True)
class AdversarialConfig:
    """Numbers of the adversarial loop."""

    batch: Annotated[int, "images per step"] = 32
    micro_batch: Annotated[int, "images per backward pass (gradient accumulation); 0: the whole batch"] = 0
    learning_rate: Annotated[float, "Adam's rate for both networks"] = 2.5e-3
    r1_gamma: Annotated[float, "weight of the R1 penalty; 0: none"] = 0.1
    r1_interval: Annotated[int, "steps between R1 penalties"] = 16
    pl_weight: Annotated[float, "weight of path length regularization; 0: none"] = 0.0
    pl_interval: Annotated[int, "steps between path length penalties"] = 8
    pl_batch_shrink: Annotated[int, "the path length batch is this many times smaller"] = 2
    pl_decay: Annotated[float, "how fast the mean path length follows"] = 0.01
    mixing: Annotated[float, "probability of style mixing, per image"] = 0.9
    ema_kimg: Annotated[float, "half-life of the moving average in thousands of images"] = 10.0
    ema_rampup: Annotated[float, "the half-life is at most this share of the images seen; 0: no warm-up"] = 0.05
    ada_target: Annotated[
        float, "target for the mean sign of the real logits (r_t); 0: the augmentation keeps its strength"
    ] = 0.6
    ada_kimg: Annotated[float, "thousands of images in which the augmentation can rise from 0 to 1"] = 500.0
    ada_interval: Annotated[int, "steps between adjustments"] = 4
    ada_max: Annotated[float, "maximum strength: beyond 0.8 augmentations leak into the generator"] = 0.8
    noise: Annotated[bool, "per-pixel noise; without it, noise strengths stay 0"] = True
    noise_from: Annotated[int, "side in pixels of the smallest block with per-pixel noise; strengths below it are 0"] = 4
    warmup_steps: Annotated[int, "warm-up steps of the learning rates after an optimizer was reset; 0: none"] = 0
    decay_share: Annotated[
        float, "final share of the run over which learning rates fall; it ends by kimg or max_minutes; 0: none"
    ] = 0.0
    decay_floor: Annotated[float, "fraction of the learning rate left at the end"] = 0.03
    bf16: Annotated[bool, "convolutions in bfloat16"] = False
    bf16_penalties: Annotated[bool, "with bf16, R1 and path length too; otherwise they stay in float32"] = False


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of generator and discriminator."""

    z_dim: Annotated[int, "length of the Gaussian input"] = 512
    w_dim: Annotated[int, "length of a mapped code"] = 512
    mapping_layers: Annotated[int, "fully connected layers of the mapping network"] = 8
    channel_base: Annotated[int, "a block of R pixels has min(channel_max, channel_base / R) channels"] = 8192
    channel_max: Annotated[int, "maximum channels of any block"] = 256
    mbstd_group: Annotated[int, "images over which the minibatch standard deviation is taken"] = 4


SIZES: dict[str, NetworkConfig] = {
    # About 31 images/s at 64 px on two cores; enough for a lean face model.
    "lean": NetworkConfig(z_dim=256, w_dim=256, mapping_layers=4, channel_base=4096, channel_max=128),
    "normal": NetworkConfig(),
    # StyleGAN2 as published.
    "large": NetworkConfig(channel_base=32768, channel_max=512),
}


@dataclass(frozen=True)
class PlanConfig:
    """What is frozen and what is compared with the source."""

    freeze_d: Annotated[int, "discriminator blocks that keep their weights, from the highest resolution down (FreezeD)"] = 0
    freeze_g: Annotated[int, "generator blocks that keep their weights, from 4 px up (FreezeG)"] = 0
    freeze_styles: Annotated[int, "generator blocks, from 4 px up, whose W+ rows come from the source's mapping (FreezeSG)"] = 0
    freeze_mapping: Annotated[bool, "the mapping network keeps its weights"] = False
    structure: Annotated[int, "blocks, from 8 px up, whose features are held to the source's (structure loss)"] = 0
    structure_weight: Annotated[float, "weight of the structure loss"] = 1.0
    structure_on: Annotated[Literal["features", "rgb"], "what the structure loss compares"] = "features"
    structure_code: Annotated[
        Literal["source", "own"], "codes of the structure loss: the source's for both, or each network its own"
    ] = "source"

    @property
    def needs_source(self) -> bool:
        """Whether the network that training started from takes part in it."""
        return self.freeze_styles > 0 or self.structure > 0


@dataclass(frozen=True)
class ReconstructionConfig:
    """Numbers of encoder training beside the adversarial loop."""

    # Names of settings in files written before 0.1.0, and what they are called now.
    FORMER = MappingProxyType({"detail": "feature_code", "detail_share": "feature_code_share", "disturb": "degraded_share"})

    share: Annotated[float, "share of the generated images that reconstruct real ones; 0: no encoder is trained"] = 0.0
    learning_rate: Annotated[float, "Adam's rate for the encoder"] = 5e-4
    pixels: Annotated[float, "weight of the L1 distance at three scales"] = 4.0
    features: Annotated[float, "weight of the discriminator-feature distance"] = 1.0
    identity: Annotated[float, "weight of the distance of identity vectors (faces); 0: none"] = 0.0
    prior: Annotated[float, "weight of the pull towards the spread of mapped codes"] = 0.02
    flat: Annotated[float, "weight of the differences between the rows of a code"] = 0.02
    feature_code: Annotated[
        float, "weight of the feature code's mean square: it should hold only what codes cannot express"
    ] = 0.003
    feature_code_share: Annotated[float, "share of the reconstructions with a feature code; 0: the encoder makes none"] = 0.5
    degraded_share: Annotated[float, "share of images degraded for the encoder, as real photos are"] = 0.3
    width: Annotated[int, "channels of a new encoder's first block"] = 32
    max_width: Annotated[int, "maximum channels of any block of a new encoder"] = 256
    resolution: Annotated[int, "side of the encoder's input, at most the stage's; a smaller encoder is grown"] = 64


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Everything in it but the last group decides the result."""

    FORMER = MappingProxyType({"soft_ground": "blurred_background"})

    data: Annotated[str, "folder or zip of images"]
    source: Annotated[str, "model that training starts from; empty: from scratch"] = ""
    widen: Annotated[int, "widens the source's networks by this factor; 1: not at all"] = 1
    size: Annotated[Size, "preset of the settings that are not given"] = "lean"
    stages: Annotated[tuple[int, ...], "resolutions, trained one after another, each grown from the one before"] = (64,)
    stage_kimg: Annotated[tuple[float, ...], "thousands of images of every stage but the last"] = ()
    seed: Annotated[int, "seed of all random numbers"] = 0
    mirror: Annotated[bool, "flip training images at random"] = True
    folder_weights: Annotated[Mapping[str, float], "how often images of a top-level folder are sampled, relative to 1"] = field(
        default_factory=dict
    )
    blurred_background: Annotated[bool, "the images have blurred backgrounds: photos will get them too"] = False
    augment: Annotated[str, "augmentations, any of b (blits), g (geometry), c (color), f (filter), n (noise and cutout)"] = (
        "bgc"
    )
    stats_steps: Annotated[int, "steps between lines of statistics"] = 50
    network: Annotated[NetworkConfig, "the networks; of a source, its own"] = field(default_factory=NetworkConfig)
    adversarial: Annotated[AdversarialConfig, "the loop; r1_gamma is that of the last stage"] = field(
        default_factory=AdversarialConfig
    )
    plan: Annotated[PlanConfig, "what is frozen and compared with the source"] = field(default_factory=PlanConfig)
    reconstruction: Annotated[ReconstructionConfig, "an encoder trained beside the generator"] = field(
        default_factory=ReconstructionConfig
    )
    kimg: Annotated[float, "stop after this many thousand images in all; 0: never"] = 0.0
    snapshot_minutes: Annotated[float, "minutes between snapshots; 0: not by time"] = 10.0
    snapshot_kimg: Annotated[float, "thousands of images between snapshots; 0: not by images"] = 0.0
    keep_kimg: Annotated[float, "keep a separate model every so many thousand images; 0: only the newest"] = 0.0
    cuda_graphs: Annotated[CudaGraphs, "record steps as CUDA graphs and replay them; auto: where possible"] = "auto"

    def __post_init__(self) -> None:
        sizes = self.stages
        if not sizes or any(r < 8 or r & (r - 1) for r in sizes) or list(sizes) != sorted(set(sizes)):
            raise ValueError(f"stages must be rising powers of two from 8, got {', '.join(map(str, sizes)) or 'none'}")
        if len(self.stage_kimg) != len(sizes) - 1 or any(k <= 0 for k in self.stage_kimg):
            raise ValueError(
                f"{len(sizes)} stages need {len(sizes) - 1} lengths above 0 (stage_kimg), got {list(self.stage_kimg)}"
            )
        if not 0 <= self.reconstruction.share < 1:
            raise ValueError(f"the share of reconstructions must be from 0 to below 1, got {self.reconstruction.share}")
        if problem := out_of_range(self):
            raise ValueError(problem)
        if set(self.augment) - set(LETTERS) or len(set(self.augment)) != len(self.augment):
            raise ValueError(f"augment must be letters of '{LETTERS}' (none: none), got '{self.augment}'")
        if self.widen < 1 or (self.widen > 1 and not self.source):
            raise ValueError(f"widen is at least 1, and more only with a source to widen, got {self.widen}")
        if not (0 <= self.adversarial.decay_share <= 1 and 0 <= self.adversarial.decay_floor <= 1):
            raise ValueError("decay_share and decay_floor must be from 0 to 1")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be from 0 to 2^63 - 1, got {self.seed}")
        positive = {"stats_steps": self.stats_steps, "batch": self.adversarial.batch}
        low = [name for name, value in positive.items() if value < 1]
        if low or min(self.kimg, self.snapshot_minutes, self.snapshot_kimg, self.keep_kimg) < 0:
            raise ValueError(f"{low[0] if low else 'kimg, snapshot_* and keep_kimg'} must be positive")

    def stage_end(self, stage: int) -> float:
        """Images after which a stage ends, counted from the start of the run; infinite for the last one."""
        return sum(self.stage_kimg[: stage + 1]) * 1000 if stage < len(self.stages) - 1 else float("inf")

    def encoder_resolution(self, stage: int) -> int:
        """Side of the images that the encoder sees at least, in a stage."""
        return min(self.reconstruction.resolution, self.stages[stage])

    def adversarial_at(self, stage: int) -> AdversarialConfig:
        """The loop of a stage: R1 falls with the resolution to the power of 1.5 (so in our own runs: 0.3, 0.1, 0.04)."""
        share = (self.stages[stage] / self.stages[-1]) ** 1.5
        return replace(self.adversarial, r1_gamma=self.adversarial.r1_gamma * share)


@dataclass(frozen=True)
class TrainSpeedConfig:
    """What to measure."""

    resolution: Annotated[int, "side of the images in pixels"] = 64
    size: Annotated[Size, "preset of the networks"] = "lean"
    batch: Annotated[int, "images per step"] = 32
    iterations: Annotated[int, "timed steps, after two warm-up steps"] = 64
    bf16: Annotated[bool, "convolutions in bfloat16"] = False
    fir: Annotated[Fir, "method of the low-pass filter; auto: on CUDA the fastest, measured first"] = "auto"
    cuda_graphs: Annotated[CudaGraphs, "record steps as CUDA graphs and replay them; auto: where possible"] = "auto"

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise InputError(f"`resolution` must be a power of two such as 64, got {self.resolution}.")
        if self.batch < 4 or self.iterations < 1:
            raise InputError(f"`batch` must be at least 4 and `iterations` at least 1, got {self.batch}, {self.iterations}.")


@dataclass(frozen=True)
class SessionConfig:
    """How one call of a training runs, as opposed to what the run is."""

    max_minutes: Annotated[float | None, "stop after this many minutes, with a snapshot; default: when the run is complete"] = (
        None
    )
    part_megabytes: Annotated[
        float | None, "split the training state into files of at most this many megabytes; default: one file"
    ] = None
    light_state: Annotated[bool, "leave Adam's moments out of the state: two fifths smaller, but resuming is not exact"] = False
    memory_share: Annotated[
        float, "share of the free memory for decoded images; beyond it they are kept in a file in the run folder"
    ] = 0.5
    fir: Annotated[Fir, "method of the low-pass filter; auto: the run's own, which on CUDA is measured"] = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.memory_share <= 1:
            raise InputError(f"`memory_share` is a number from 0 to 1, got {self.memory_share:g}.")
        if self.part_megabytes is not None and self.part_megabytes < 0.01:
            raise InputError(f"`part_megabytes` must be at least 0.01, got {self.part_megabytes:g}.")
        if self.max_minutes is not None and self.max_minutes < 0:
            raise InputError(f"`max_minutes` must not be negative, got {self.max_minutes:g}.")
