"""Settings of inversion: which method, and the numbers of the optimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from mien.errors import InputError

Method = Literal["encoder", "iterated", "w", "w+", "prior", "mean"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class InvertConfig:
    """How an image becomes a code."""

    method: Annotated[Method, "how a face is inverted: encoder, iterated, w, w+, prior or mean"] = "encoder"
    steps: Annotated[int | None, "rounds of iterated, or optimization steps of w, w+ and prior; None: 5, or 200"] = None
    towards_mean: Annotated[float, "blends the code with the mean face's: 0 not at all, 1 entirely"] = 0.0
    feature_code: Annotated[bool, "whether the encoder's feature code is used"] = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"There is no inversion '{self.method}': choose one of {', '.join(METHODS)}.")
        if self.steps is not None and (self.steps < 0 or self.method in ("encoder", "mean")):
            raise InputError("Steps, from 0, are for the inversions iterated, w, w+ and prior: choose one, or leave them out.")
        if not 0 <= self.towards_mean <= 1:
            raise InputError(f"The share of the mean face is a number from 0 to 1, got {self.towards_mean:g}.")


@dataclass(frozen=True)
class RefineConfig:
    """Numbers of the optimization."""

    steps: Annotated[int, "optimization steps; 0: none"] = 100
    space: Annotated[
        Literal["w+", "w", "f"],
        "w+: one code for every row; w: the same in all rows; f: only the feature code moves, so that little of the generator "
        "has to be drawn at each step",
    ] = "w+"
    learning_rate: Annotated[float, "Adam's rate at the start; it falls to zero along a cosine"] = 0.03
    feature_code_resolution: Annotated[int, "side of the feature code, where the start has none; 0: W+ alone"] = 16
    feature_code_learning_rate: Annotated[float, "Adam's rate for the feature code"] = 0.02
    feature_code_prior: Annotated[float, "pull of the feature code towards the start's"] = 0.02
    prior: Annotated[float, "pull towards the start, in units of the spread of mapped codes"] = 0.02
    density: Annotated[float, "weight of the code's squared Mahalanobis distance in the P space; 0: none"] = 0.0
    pixels: Annotated[float, "weight of the L1 distance of images at four scales"] = 1.0
    features: Annotated[float, "weight of the L1 distance of discriminator features"] = 0.5
    identity: Annotated[float, "weight of the L1 distance of the identity network's feature maps"] = 0.0
    hold_eyes: Annotated[float, "share of the start's feature code that stays in the eyes, 0 to 1"] = 0.0
