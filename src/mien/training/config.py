"""What a training run is: its configuration, resolved once from a few wishes, and what may change when it is continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from mien.errors import InputError
from mien.training.augment import LETTERS
from mien.training.encoder import ReconstructionConfig
from mien.training.freeze import PlanConfig, method

Size = Literal["lean", "normal", "large"]


@dataclass(frozen=True)
class AdversarialConfig:
    """Numbers of the adversarial loop."""

    batch: Annotated[int, "pictures per step"] = 32
    micro_batch: Annotated[int, "pictures per backward pass (gradient accumulation); 0: the whole batch"] = 0
    learning_rate: Annotated[float, "Adam's rate for both networks"] = 2.5e-3
    r1_gamma: Annotated[float, "weight of the R1 penalty; 0: none"] = 0.1
    r1_interval: Annotated[int, "steps from one R1 penalty to the next"] = 16
    pl_weight: Annotated[float, "weight of path length regularisation; 0: none"] = 0.0
    pl_interval: Annotated[int, "steps from one path length penalty to the next"] = 8
    pl_batch_shrink: Annotated[int, "the path length batch is this many times smaller"] = 2
    pl_decay: Annotated[float, "how fast the mean path length follows"] = 0.01
    mixing: Annotated[float, "probability of style mixing, per micro-batch"] = 0.9
    ema_kimg: Annotated[float, "half-life of the moving average in thousands of pictures"] = 10.0
    ema_rampup: Annotated[float, "the half-life is at most this share of the pictures seen; 0: no warm-up"] = 0.05
    ada_target: Annotated[float, "wanted mean sign of the real logits (r_t); 0: the augmentation keeps its strength"] = 0.6
    ada_kimg: Annotated[float, "thousands of pictures in which the augmentation can go from 0 to 1"] = 500.0
    ada_interval: Annotated[int, "steps from one adjustment to the next"] = 4
    ada_max: Annotated[float, "greatest strength: beyond 0.8 augmentations leak into the generator"] = 0.8
    noise: Annotated[bool, "per-pixel noise; without it its strengths are 0 and stay so"] = True
    bf16: Annotated[bool, "convolutions in bfloat16"] = False
    bf16_penalties: Annotated[bool, "with bf16, R1 and path length too; otherwise they stay in float32"] = False


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of generator and discriminator."""

    z_dim: Annotated[int, "length of the Gaussian input"] = 512
    w_dim: Annotated[int, "length of a mapped code"] = 512
    mapping_layers: Annotated[int, "fully connected layers of the mapping network"] = 8
    channel_base: Annotated[int, "a block of R pixels has min(channel_max, channel_base / R) channels"] = 8192
    channel_max: Annotated[int, "most channels of any block"] = 256
    mbstd_group: Annotated[int, "pictures over which the minibatch standard deviation is taken"] = 4


SIZES: dict[str, NetworkConfig] = {
    # About 31 pictures/s at 64 px on two cores; enough for a lean face model.
    "lean": NetworkConfig(z_dim=256, w_dim=256, mapping_layers=4, channel_base=4096, channel_max=128),
    "normal": NetworkConfig(),
    # StyleGAN2 as published.
    "large": NetworkConfig(channel_base=32768, channel_max=512),
}

# How long a stage before the last trains, in thousands of pictures: until faces are varied and clean, from our own runs.
_STAGE_KIMG = {8: 30.0, 16: 50.0, 32: 80.0, 64: 250.0, 128: 600.0, 256: 1200.0, 512: 2000.0}


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Everything in it but the last group decides the result."""

    data: Annotated[str, "folder or zip of pictures"]
    source: Annotated[str, "model that training starts from; empty: from scratch"] = ""
    size: Annotated[Size, "whose preset gave what was not asked for"] = "lean"
    stages: Annotated[tuple[int, ...], "resolutions, trained one after the other, each grown from the one before"] = (64,)
    stage_kimg: Annotated[tuple[float, ...], "thousands of pictures of every stage but the last"] = ()
    seed: Annotated[int, "start of all random numbers"] = 0
    mirror: Annotated[bool, "flip training pictures at random"] = True
    folder_weights: Annotated[Mapping[str, float], "how often pictures of a top-level folder are drawn, relative to 1"] = field(
        default_factory=dict
    )
    soft_ground: Annotated[bool, "the pictures' grounds were softened: the model wants photos treated alike"] = False
    augment: Annotated[str, "augmentations, any of b (blits), g (geometry), c (colour), f (filter), n (noise and cutout)"] = (
        "bgc"
    )
    stats_steps: Annotated[int, "steps from one line of statistics to the next"] = 50
    network: Annotated[NetworkConfig, "the networks; of a source, its own"] = field(default_factory=NetworkConfig)
    adversarial: Annotated[AdversarialConfig, "the loop; r1_gamma is that of the last stage"] = field(
        default_factory=AdversarialConfig
    )
    plan: Annotated[PlanConfig, "what is frozen and compared with the source"] = field(default_factory=PlanConfig)
    reconstruction: Annotated[ReconstructionConfig, "an encoder trained beside the generator"] = field(
        default_factory=ReconstructionConfig
    )
    kimg: Annotated[float, "stop after so many thousands of pictures in all; 0: never"] = 0.0
    snapshot_minutes: Annotated[float, "minutes from one snapshot to the next; 0: not by time"] = 10.0
    snapshot_kimg: Annotated[float, "thousands of pictures from one snapshot to the next; 0: not by pictures"] = 0.0
    keep_kimg: Annotated[float, "keep a model of its own every so many thousands of pictures; 0: only the newest"] = 0.0

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
        if set(self.augment) - set(LETTERS) or len(set(self.augment)) != len(self.augment):
            raise ValueError(f"augment must be letters of '{LETTERS}' (none: none), got '{self.augment}'")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be from 0 to 2^63 - 1, got {self.seed}")
        positive = {"stats_steps": self.stats_steps, "batch": self.adversarial.batch}
        low = [name for name, value in positive.items() if value < 1]
        if low or min(self.kimg, self.snapshot_minutes, self.snapshot_kimg, self.keep_kimg) < 0:
            raise ValueError(f"{low[0] if low else 'kimg, snapshot_* and keep_kimg'} must be positive")

    def stage_end(self, stage: int) -> float:
        """Pictures after which a stage ends, counted from the start of the run; infinite for the last one."""
        return sum(self.stage_kimg[: stage + 1]) * 1000 if stage < len(self.stages) - 1 else float("inf")

    def adversarial_at(self, stage: int) -> AdversarialConfig:
        """The loop of a stage: R1 falls with the resolution to the power of 1.5 (so in our own runs: 0.3, 0.1, 0.04)."""
        share = (self.stages[stage] / self.stages[-1]) ** 1.5
        return replace(self.adversarial, r1_gamma=self.adversarial.r1_gamma * share)


# What may be another value when a run is continued: it does not change what a step computes.
# Paths may change too: the pictures have a digest in the state, and the source is copied into the run.
CHANGEABLE = frozenset({"data", "source", "kimg", "snapshot_minutes", "snapshot_kimg", "keep_kimg"})


def preset(resolution: int, size: Size, *, bf16: bool) -> dict[str, Any]:
    """Settings (dotted names) that suit a resolution and a size of network.

    R1 as in our own runs: 0.1 at 64 px, times 2.8 for every doubling. Large networks take the published learning rate and path
    length regularisation (weight 2).
    """
    found: dict[str, Any] = {f"network.{f.name}": getattr(SIZES[size], f.name) for f in fields(NetworkConfig)}
    found |= {
        "adversarial.batch": 32 if resolution <= 64 or size != "lean" else 16,
        "adversarial.r1_gamma": round(0.1 * (resolution / 64) ** 1.5, 4),
        "adversarial.bf16": bf16,
        "adversarial.learning_rate": 2.5e-3 if size != "large" else 2e-3,
        "adversarial.pl_weight": 2.0 if size == "large" else 0.0,
    }
    return found


def resolve(wishes: Mapping[str, Any], *, size: str, bf16: bool, method_name: str = "") -> TrainConfig:
    """A configuration from `wishes` (dotted names), on top of the preset for the last resolution.

    Lengths of stages that are not wished follow from their resolutions. Raises `InputError` for what cannot be.
    """
    if size not in get_args(Size):
        raise InputError(f"There is no size '{size}': choose one of {', '.join(get_args(Size))}.")
    stages = tuple(wishes.get("stages", TrainConfig.stages))
    last = stages[-1] if stages else 0
    values: dict[str, Any] = preset(last, size, bf16=bf16) if last >= 8 else {}  # type: ignore[arg-type]
    values["stage_kimg"] = tuple(_STAGE_KIMG.get(r, 1000.0) for r in stages[:-1])
    if method_name:
        wanted = method(method_name, last)
        values |= {f"plan.{f.name}": getattr(wanted, f.name) for f in fields(PlanConfig)}
    return changed(TrainConfig(data=str(wishes["data"])), {"size": size, **values, **wishes})


def changed(config: TrainConfig, wishes: Mapping[str, Any]) -> TrainConfig:
    """The configuration with other values, given by dotted names; raises `InputError` for what cannot be."""
    groups: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for name, value in wishes.items():
        group, _, key = name.rpartition(".")
        (groups.setdefault(group, {}) if group else plain)[key] = value
    try:
        parts = {group: replace(getattr(config, group), **values) for group, values in groups.items()}
        return replace(config, **plain, **parts)
    except ValueError as error:
        raise InputError(f"This training cannot be: {error}.") from error


def differences(stored: TrainConfig, wanted: TrainConfig) -> dict[str, tuple[object, object]]:
    """Settings (dotted names) that differ although they may not when a run is continued: (stored, wanted)."""
    return {n: (a, b) for n, (a, b) in _pairs(stored, wanted, "").items() if a != b and n not in CHANGEABLE}


def _pairs(a: Any, b: Any, prefix: str) -> dict[str, tuple[object, object]]:
    found: dict[str, tuple[object, object]] = {}
    for f in fields(a):
        mine, other = getattr(a, f.name), getattr(b, f.name)
        found |= _pairs(mine, other, f"{f.name}.") if is_dataclass(mine) else {f"{prefix}{f.name}": (mine, other)}
    return found


def check_same(stored: TrainConfig, config: TrainConfig, path: Path) -> None:
    """Refuse, with an `InputError`, to go on with the run in `path` under another configuration than its own."""
    if bool(stored.source) != bool(config.source):
        raise InputError(f"{path} holds a run {'' if stored.source else 'not '}begun from a model: give the same --from.")
    found = differences(stored, config)
    if found:
        name, (there, here) = next(iter(found.items()))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(
            f"{path} holds a run with {name} = {there!r}, not {here!r}{more}: take another folder or the same options."
        )
