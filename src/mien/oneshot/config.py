"""What a one-shot fit is: its settings, and which codes they make random."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from mien.errors import InputError
from mien.latents import RandomLayers, keep_below, num_ws, style_layers
from mien.models.compact_encoder import CompactEncoder
from mien.models.model import Model
from mien.oneshot.layer_masks import parse_layers, parse_mask

# Rows of W+ that are random in the published code ("M1", "M2" and M2 before February 2022), for 18 rows and fewer.
Loss = Literal["discriminator", "pixels", "identity", "mobilenet-v2"]

W_PLUS_MASKS = {"m1": tuple(range(7, 18)), "m2": (9, 11, 15, 16, 17), "m2-2021": (7, 9, 11, 15, 16, 17)}


@dataclass(frozen=True)
class FitConfig:
    """How a style is learned from its references."""

    steps: Annotated[
        int | Literal["auto"], "fine-tuning steps, or auto: 200 to 500, until little is gained; the paper takes 200 to 500"
    ] = 300
    learning_rate: Annotated[float, "Adam's learning rate"] = 2e-3
    space: Annotated[Literal["s", "w_plus"], "where codes are mixed: s as in the paper, w_plus as in the published code"] = "s"
    random_from: Annotated[
        str, "space s: first up-convolution whose layers are random, such as 64px; auto: that for 1024 px, 16px up to 256 px"
    ] = "auto"
    random_layers: Annotated[
        str | None, "space s: the random layers by name in place of random_from: presets, sizes or layers, see `mien masks`"
    ] = None
    mask: Annotated[str, "space w_plus: the random rows: m1, m2, m2-2021 or numbers such as 7,9,11"] = "m1"
    mean_layers: Annotated[
        str | None, "space s: layers, named as for random_layers, in which the mean face's code stands for the reference's"
    ] = None
    family: Annotated[
        Literal["auto", "mapping", "encoder"],
        "what the random layers are taken from: mapping as published, encoder what the model's encoder says of the model's own "
        "faces (it says such codes of photos, too), auto: encoder if it is one of mien's, else mapping",
    ] = "auto"
    detail: Annotated[
        float,
        "most of the reference's own detail map that is added while learning, anew at every step, where the encoder gives one; "
        "0: never, as published",
    ] = 1.0
    one_sided: Annotated[bool, "learn from the reference alone, as published, and not from its mirror image as well"] = False
    color: Annotated[Literal["reference", "photo"], "whose colours the result has"] = "reference"
    gaze: Annotated[
        Literal["photo"] | None, "photo: eyes look where the photo's do, and mouths stay as they are; without it as drawn"
    ] = None
    batch: Annotated[int, "references per step (0: all of them); bounds the memory"] = 4
    loss: Annotated[
        Loss, "what reference and picture are compared by: features of the discriminator, or others to compare with them"
    ] = "discriminator"
    identity_weight: Annotated[float, "how strongly faces stay the people they were, 0.01 for clearly; 0: not at all"] = 0.0
    noise: Annotated[Literal["random", "const"], "noise while training: fresh at every step, or the stored maps"] = "random"
    seed: Annotated[int, "seed of codes, noise and order"] = 0
    bf16: Annotated[bool, "convolutions in bfloat16; faster where the processor has it"] = False

    def __post_init__(self) -> None:
        if self.steps != "auto" and self.steps < 0:
            raise InputError(f"The number of steps must not be negative, got {self.steps}.")
        if self.random_layers is not None and self.space != "s":
            raise InputError("--random-layers names layers of S: leave out --space w-plus, or give its rows with --mask.")
        if self.mean_layers is not None and self.space != "s":
            raise InputError("--mean-layers blends layers of S: leave out --space w-plus.")
        if self.family not in ("auto", "mapping", "encoder"):
            raise InputError(f"There is no family '{self.family}': choose auto, mapping or encoder.")
        if not 0 <= self.detail < math.inf:
            raise InputError(f"--reference-detail is 0 or more, 1 for the whole detail map, got {self.detail}.")
        if not 0 <= self.identity_weight < math.inf:
            raise InputError(f"--identity-weight is 0 or more, such as 0.01, got {self.identity_weight}.")


def takes_own_faces(config: FitConfig, model: Model) -> bool:
    """Whether random layers are taken from what the model's encoder says of its own faces, rather than from the mapping."""
    return config.family == "encoder" or (config.family == "auto" and isinstance(model.encoder, CompactEncoder))


def random_layers(
    resolution: int, config: FitConfig, features: Mapping[str, Mapping[str, Tensor]] | None = None
) -> RandomLayers:
    """The S layers, or with parts of the face the channels, that are random (the paper's M = 0) for space `s`.

    `features` are the channels of the parts, as `parse_mask` takes them.
    """
    if config.random_layers is not None:
        return parse_mask(config.random_layers, resolution, features)
    if config.color == "photo":
        # The counterpart of the published W+ rows 9, 11, 15.. in S: colour and the finest texture, without the layers of line.
        return parse_layers("m2", resolution)
    try:
        start = usual_start(resolution) if config.random_from == "auto" else int(config.random_from.removesuffix("px"))
    except ValueError:
        start = 0
    if start not in {layer.resolution for layer in style_layers(resolution)}:
        raise InputError(
            f"--random-from is a block size of the model, such as {resolution // 2}px, got {config.random_from!r}: choose one."
        )
    return frozenset(layer.name for layer in style_layers(resolution)) - keep_below(resolution, start)


def usual_start(resolution: int) -> int:
    """Where layers begin to be random: at 64 px of 1024 (the published code), and as far below the top in smaller models.

    There colour and line are the business of lower layers: held to the reference's code, they would be learned for this code
    alone. Below 16 px are pose and the shape of the head.
    """
    return min(resolution, max(16, resolution // 16))


def random_rows(resolution: int, config: FitConfig) -> tuple[int, ...]:
    """The rows of W+ that are random for space `w_plus`."""
    preset = W_PLUS_MASKS.get("m2" if config.color == "photo" and config.mask == "m1" else config.mask)
    try:
        rows = preset or tuple(int(row) for row in config.mask.split(","))
    except ValueError as error:
        known = ", ".join(W_PLUS_MASKS)
        raise InputError(f"--mask is one of {known} or row numbers such as 7,9,11, got {config.mask!r}.") from error
    rows = tuple(row for row in rows if row < num_ws(resolution))
    if not rows:
        raise InputError(f"The mask {config.mask} leaves none of the {num_ws(resolution)} rows random: choose lower rows.")
    return rows
