"""The settings of one-shot fine-tuning. Imports no torch: the command reads its options from here before it needs any."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from mien.errors import InputError
from mien.inversion.config import InvertConfig, Method
from mien.oneshot.presets import PRESETS, PresetName

Loss = Literal["discriminator", "pixels", "identity", "efficientnet-lite1"]
MixingLatents = Literal["auto", "mapping", "encoder"]
Whose = Literal["reference", "photo"]
Regions = Literal["head", "parts", "all"]


@dataclass(frozen=True)
class OneShotConfig:
    """How a style is learned from its references."""

    steps: Annotated[
        int | Literal["auto"],
        "fine-tuning steps; auto stops between 200 and 500 when little more is gained; the paper uses 200 to 500",
    ] = 120
    learning_rate: Annotated[float, "learning rate of Adam"] = 2e-3
    space: Annotated[
        Literal["s", "w_plus"], "latent space in which codes are mixed: s as in the paper, w_plus as in the published code"
    ] = "s"
    random_from: Annotated[
        str, "space s: first up-convolution whose layers are random, such as 64px; auto: 64px at 1024 px, 16px up to 256 px"
    ] = "auto"
    random_layers: Annotated[
        str | None, "space s: the random layers by name, instead of random_from: presets, sizes or layers, see `mien masks`"
    ] = None
    random_rows: Annotated[str, "space w_plus: the random rows: m1, m2, m2-2021 or numbers such as 7,9,11"] = "m1"
    mean_layers: Annotated[
        str | None, "space s: layers, named as for random_layers, that take the mean face's code instead of the reference's"
    ] = None
    mixing_latents: Annotated[
        MixingLatents,
        "source of the random codes for style mixing: mapping (the mapping network, as published), encoder (what the model's "
        "encoder finds in the model's own faces, as it does in photos), auto (encoder where it is one of mien's, else mapping)",
    ] = "auto"
    feature_code: Annotated[
        float,
        "largest share of the reference's own feature code that is added while learning, drawn at random in every step; "
        "0: none, as published",
    ] = 1.0
    mirror: Annotated[bool, "learn from the mirrored reference as well; the published method does not"] = True
    color: Annotated[Whose, "whose colors the result takes"] = "reference"
    gaze: Annotated[Whose, "whose gaze and mouth it takes: as drawn in the reference, or the photo's own"] = "reference"
    extreme: Annotated[
        bool, "for animals and masks: take the whole reference without looking for a face, and the mean face as its code"
    ] = False
    reference_inverter: Annotated[
        Method | InvertConfig, "how the reference is inverted: encoder, iterated, w, w+, prior or mean"
    ] = "encoder"
    refine_reference: Annotated[
        int | None, "optimization steps for the reference's code; None: none, or 300 where the model has no encoder"
    ] = None
    batch: Annotated[int, "references per step (0: all of them); limits the memory used"] = 4
    loss: Annotated[Loss, "features that result and reference are compared in: the discriminator's, or an alternative"] = (
        "discriminator"
    )
    identity_weight: Annotated[float, "weight of the identity loss; 0.01 has a clear effect, 0 turns it off"] = 0.0
    noise: Annotated[Literal["random", "const"], "noise while training: fresh at every step, or the stored maps"] = "random"
    noise_strengths: Annotated[
        Literal["nonzero", "all"],
        "noise strengths that are learned: those that are not zero in the base model, or all, as published",
    ] = "nonzero"
    reference_shape: Annotated[
        float,
        "how much of its own shape a reference keeps: 0 moves its landmarks to where the model draws them, 1 leaves it as it "
        "is, as published",
    ] = 0.0
    reference_views: Annotated[
        int, "slightly shifted, turned and scaled views of each reference to learn from; 1: the reference alone, as published"
    ] = 4
    distribution_weight: Annotated[
        float | Literal["auto"],
        "weight of the distribution loss, which gives other faces the features of the reference; 0: none, as published; auto: "
        "0.5 where the random codes are those of an encoder, else 0",
    ] = "auto"
    distribution_regions: Annotated[
        Regions,
        "what the distribution loss compares: head with head, parts (head with head, background with background) or all",
    ] = "head"
    distribution_faces: Annotated[int, "other faces that the distribution loss draws at a time"] = 1
    distribution_every: Annotated[
        int,
        "steps between distribution losses; the weight is scaled to match: the same effect for less work",
    ] = 2
    weight_average: Annotated[
        float, "decay of the running average of the weights, which is what is kept; 0: the last weights, as published"
    ] = 0.97
    seed: Annotated[int, "seed of codes, noise and order"] = 0

    @classmethod
    def preset(cls, name: PresetName) -> OneShotConfig:
        """A published set-up: `paper`, or `published` for the authors' code."""
        return cls(**PRESETS[name].one_shot)

    def __post_init__(self) -> None:
        if self.steps != "auto" and self.steps < 0:
            raise InputError(f"`steps` must not be negative, got {self.steps}.")
        if self.random_layers is not None and self.space != "s":
            raise InputError(
                "`random_layers` names layers of S: leave out `space` w_plus, or name its rows with `random_rows`."
            )
        if self.mean_layers is not None and self.space != "s":
            raise InputError("`mean_layers` blends layers of S: leave out `space` w_plus.")
        if self.extreme and self.gaze == "photo":
            raise InputError("`gaze` photo needs eyes and a mouth, and `extreme` says that there are none: choose one.")
        if self.mixing_latents not in get_args(MixingLatents):
            known = ", ".join(get_args(MixingLatents))
            raise InputError(f"`mixing_latents` is one of {known}, got {self.mixing_latents!r}: choose one.")
        self._check_distribution()
        for name in ("learning_rate", "feature_code", "identity_weight", "batch", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"`{name}` must be 0 or more, got {getattr(self, name)}.")

    def _check_distribution(self) -> None:
        if self.distribution_regions not in get_args(Regions):
            known = ", ".join(get_args(Regions))
            raise InputError(f"`distribution_regions` is one of {known}, got {self.distribution_regions!r}: choose one.")
        if self.distribution_weight != "auto" and not 0 <= self.distribution_weight < math.inf:
            raise InputError(f"`distribution_weight` is auto, or a number from 0, got {self.distribution_weight}.")
        for name in ("reference_views", "distribution_faces", "distribution_every"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.reference_shape <= 1:
            raise InputError(f"`reference_shape` is a number from 0 to 1, got {self.reference_shape}.")
        if not 0 <= self.weight_average < 1:
            raise InputError(f"`weight_average` is 0 or more and below 1, got {self.weight_average}.")


@dataclass(frozen=True)
class SnapshotConfig:
    """What is written while a style is learned."""

    previews: Annotated[Path | None, "folder for preview images: the references and random faces, in the style so far"] = None
    preview_every: Annotated[int | None, "steps between previews; default: 50"] = None
    state: Annotated[Path | None, "folder for the training state; learning resumes from an existing one"] = None

    def __post_init__(self) -> None:
        if self.preview_every is not None and self.preview_every < 1:
            raise InputError(f"`preview_every` must be at least 1, got {self.preview_every}.")
        if self.preview_every is not None and self.previews is None:
            raise InputError("`preview_every` needs a folder for the images: give one with `previews`.")
        for folder in (self.previews, self.state):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise InputError(f"{folder} is a file, and a folder is needed: choose another name.")


# Names of settings in files written before 0.1.0, and what they are called now.
_FORMER = {"family": "mixing_latents", "detail": "feature_code", "mask": "random_rows"}


def current_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a file stores, by their names of today."""
    found = {_FORMER.get(name, name): value for name, value in stored.items()}
    if "one_sided" in found:
        found["mirror"] = not found.pop("one_sided")
    if "bf16" in found:
        found["dtype"] = "bfloat16" if found.pop("bf16") else "float32"
    return found
