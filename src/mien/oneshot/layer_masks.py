"""Masks of style mixing (JoJoGAN, equation 1) in words: which S layers are random, and how much of a face they change.

The sheet shows it: one face, the same with random codes in the layers of each mask, and where it differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mien.errors import InputError
from mien.latents import RandomLayers, keep_below, mix_styles, num_ws, style_layers
from mien.media.contact_sheet import sheet
from mien.models.generator import Generator
from mien.models.sampling import random_codes
from mien.oneshot.config import OneShotConfig
from mien.runtime import Progress

PRESETS = {
    "m1": ("32rgb,64px..", "the usual mask at 1024 px: pose and shape are the reference's, all else is random"),
    "m2": ("64rgb,128up,128rgb,256up,top", "the mask that keeps colors: color and finest texture are random"),
    "color": ("16px..:rgb", "toRGB layers alone: shape and line are the reference's"),
    "texture": ("64px..:up,64px..:conv", "convolutions from 64 px on: line and texture without the toRGB layers"),
    "features": ("16px..", "the features of the face are random too: more of the person, less of the reference"),
    "all": ("4px..", "everything is random, pose too: more than the method can learn"),
}
"""Named masks: {name: (parts as `parse_layers` reads them, what it is for)}; layers that a model has not are left out."""

_LEAST = 0.5  # of what the smallest published mask changes
_SIZES = re.compile(r"(?:(\d+)px)?(?P<to>\.\.)?(?:(\d+)px)?(?::(up|conv|rgb))?")


def parse_layers(text: str, resolution: int) -> frozenset[str]:
    """The S layers that `text` names, in a model of `resolution` px.

    Parts with commas between: a preset (`m2`), a layer (`64up`), all layers of a size (`64px`), of sizes (`16px..64px`,
    `64px..`, `..32px`), of the last size (`top`), one kind of those (`16px..:rgb`). Raises `InputError` for a part that names
    no layer.
    """
    found: set[str] = set()
    for part in (p.strip().lower() for p in text.split(",")):
        if part in PRESETS:
            layers = frozenset[str]().union(*(_layers(p, resolution) for p in PRESETS[part][0].split(",")))
        else:
            layers = _layers(part, resolution)
        if not layers:
            names = ", ".join(layer.name for layer in style_layers(resolution))
            raise InputError(
                f"'{part}' names no layer of this model: write presets ({', '.join(PRESETS)}), sizes such as 64px, 16px..64px "
                f"or 16px..:rgb, layers ({names}), or parts of the face (eyes, mouth, ...), with commas between."
            )
        found |= layers
    return frozenset(found)


def parse_mask(text: str, resolution: int, features: Mapping[str, Mapping[str, Tensor]] | None = None) -> RandomLayers:
    """The same, with parts of the face too: `features` has their channels, {part: {S layer: [channels] bool}}.

    Whole layers alone come back as their names, anything with a part of the face as {S layer: [channels] bool}.
    """
    parts = [part.strip().lower() for part in text.split(",")]
    named = [part for part in parts if part in (features or {})]
    rest = [part for part in parts if part not in named]
    layers = parse_layers(",".join(rest), resolution) if rest else frozenset[str]()
    if not named or features is None:
        return layers
    channels = {name: mask.clone() for name, mask in features[named[0]].items()}
    for part in named[1:]:
        channels = {name: mask | features[part][name] for name, mask in channels.items()}
    return {name: torch.ones_like(mask) if name in layers else mask for name, mask in channels.items()}


def _layers(part: str, resolution: int) -> frozenset[str]:
    table = style_layers(resolution)
    if part == "top":
        part = f"{resolution}px"
    match = _SIZES.fullmatch(part)
    if match is None or not (match[1] or match[3]):
        return frozenset(layer.name for layer in table if layer.name == part)
    low = int(match[1] or 0)
    high = int(match[3]) if match[3] else resolution if match["to"] else low
    return frozenset(layer.name for layer in table if low <= layer.resolution <= high and match[4] in (None, layer.kind))


@dataclass(frozen=True)
class MaskEffect:
    """What the random layers of a mask do to one face."""

    swapped: Tensor
    """The face with other random codes in these layers, [count, 3, R, R] in [-1, 1]."""
    difference: Tensor
    """Mean absolute difference to the face, [R, R]."""
    share: float
    """Mean difference as a share of what random codes in all layers make: 0 to about 1."""


@torch.no_grad()
def mask_effects(
    generator: Generator, w_plus: Tensor, masks: Mapping[str, RandomLayers], *, count: int = 8, seed: int = 0
) -> Iterator[tuple[str, MaskEffect]]:
    """For each mask {name: random S layers} its effect on the face `w_plus` [1, num_ws, w_dim], one after the other.

    All masks see the same `count` random codes and the stored noise.
    """
    network = generator.synthesis
    noise, face = network.noise("const"), network.styles(w_plus)
    fresh = [network.styles(code) for code in torch.split(random_codes(generator, count, seed=seed, psi=1), 1)]
    before = network.synthesize(face, noise).clamp(-1, 1)

    def effect(layers: RandomLayers) -> tuple[Tensor, Tensor]:
        images = [network.synthesize(mix_styles(face, other, layers), noise).clamp(-1, 1) for other in fresh]
        swapped = torch.cat(images)
        return swapped, (swapped - before).abs().mean(dim=(0, 1))

    most = float(effect(list(face))[1].mean())
    for name, layers in masks.items():
        swapped, difference = effect(layers)
        yield name, MaskEffect(swapped, difference, float(difference.mean()) / max(most, 1e-12))


def too_few_codes(generator: Generator, w_plus: Tensor, layers: RandomLayers) -> str | None:
    """A sentence of warning where the random `layers` make codes that differ too little to learn from, else None.

    The measure is relative: less than half of what the smallest published mask (`m2`) changes in the same face.
    """
    smallest = parse_layers("m2", generator.config.resolution)
    if not isinstance(layers, Mapping) and smallest <= set(layers):
        return None
    share, published = (effect.share for _, effect in mask_effects(generator, w_plus, {"this": layers, "m2": smallest}))
    if share >= _LEAST * published:
        return None
    return (
        f"The random layers change a face by {share:.1%} of what a whole random code does, the smallest published mask by "
        f"{published:.1%}: these codes differ too little, and artifacts are likely. Choose more layers (see `mien masks`)."
    )


_LARGEST_CELL, _SMALLEST_CELL = 256, 96


def usual_masks(resolution: int) -> dict[str, RandomLayers]:
    """Every preset that a model of `resolution` px has, then every layer: {name: random S layers}."""
    presets: dict[str, RandomLayers] = {
        name: parse_layers(name, resolution) for name in PRESETS if resolution >= 64 or name not in ("m1", "texture")
    }
    return presets | {layer.name: frozenset([layer.name]) for layer in style_layers(resolution)}


def mask_sheet(
    generator: Generator, w_plus: Tensor, masks: Mapping[str, RandomLayers], *, shown: int = 3, seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """A row per mask {name: random S layers}, and how much each changes (`MaskEffect.share`).

    A row holds the face `w_plus` [1, num_ws, w_dim], `shown` versions of it with other random codes in the mask's layers, and
    their mean difference: white where nothing changes, black where most does. The sheet is [3, H, W] in [-1, 1].
    """
    network = generator.synthesis
    with torch.no_grad():
        face = network.synthesize(network.styles(w_plus), network.noise("const"))[0].cpu()
    rows: list[list[Tensor]] = []
    shares: dict[str, float] = {}
    for name, effect in mask_effects(generator, w_plus, masks, seed=seed):
        rows.append([face, *effect.swapped[:shown].cpu(), _darkness(effect)])
        shares[name] = effect.share
        if progress is not None:
            progress(len(rows), len(masks), effect.share)
    size = min(max(generator.config.resolution, _SMALLEST_CELL), _LARGEST_CELL)
    labels = [f"{name}\n{share:.0%}" for name, share in shares.items()]
    columns = ["the face", *(f"random {i + 1}" for i in range(shown)), "what changes"]
    return sheet(rows, size=size, row_labels=labels, column_labels=columns), shares


def _darkness(effect: MaskEffect) -> Tensor:
    difference = effect.difference.cpu()
    return (1 - 2 * difference / difference.max().clamp(min=1e-12)).expand(3, -1, -1)


# Rows of W+ that are random in the published code ("M1", "M2" and M2 before February 2022), for 18 rows and fewer.
W_PLUS_MASKS = {"m1": tuple(range(7, 18)), "m2": (9, 11, 15, 16, 17), "m2-2021": (7, 9, 11, 15, 16, 17)}


def random_layers(
    resolution: int, config: OneShotConfig, features: Mapping[str, Mapping[str, Tensor]] | None = None
) -> RandomLayers:
    """The S layers, or with parts of the face the channels, that are random (the paper's M = 0) for space `s`.

    `features` are the channels of the parts, as `parse_mask` takes them.
    """
    if config.random_layers is not None:
        return parse_mask(config.random_layers, resolution, features)
    if config.color == "photo":
        # The counterpart of the published W+ rows 9, 11, 15.. in S: color and the finest texture, without the layers of line.
        return parse_layers("m2", resolution)
    try:
        start = usual_start(resolution) if config.random_from == "auto" else int(config.random_from.removesuffix("px"))
    except ValueError:
        start = 0
    if start not in {layer.resolution for layer in style_layers(resolution)}:
        raise InputError(
            f"random_from is a block size of the model, such as {resolution // 2}px, got {config.random_from!r}: choose one."
        )
    return frozenset(layer.name for layer in style_layers(resolution)) - keep_below(resolution, start)


def usual_start(resolution: int) -> int:
    """Where layers begin to be random: at 64 px of 1024 (the published code), and as far below the top in smaller models.

    There color and line are the business of lower layers: held to the reference's code, they would be learned for this code
    alone. Below 16 px are pose and the shape of the head.
    """
    return min(resolution, max(16, resolution // 16))


def random_rows(resolution: int, config: OneShotConfig) -> tuple[int, ...]:
    """The rows of W+ that are random for space `w_plus`."""
    preset = W_PLUS_MASKS.get("m2" if config.color == "photo" and config.random_rows == "m1" else config.random_rows)
    try:
        rows = preset or tuple(int(row) for row in config.random_rows.split(","))
    except ValueError as error:
        known = ", ".join(W_PLUS_MASKS)
        raise InputError(f"random_rows is one of {known} or row numbers such as 7,9,11, got {config.random_rows!r}.") from error
    rows = tuple(row for row in rows if row < num_ws(resolution))
    if not rows:
        raise InputError(
            f"random_rows {config.random_rows} names none of the model's {num_ws(resolution)} rows: choose lower ones."
        )
    return rows
