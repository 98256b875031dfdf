"""What masks change, to be seen: one face, the same with random codes in the layers of each mask, and where it differs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mien.finetune.masks import PRESETS, MaskEffect, mask_effects, parse_layers
from mien.latents import RandomLayers, style_layers
from mien.media.sheet import sheet
from mien.models.generator import Generator
from mien.runtime import Progress

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
    """A row per mask {name: random S layers}, and the size of each mask's family (`MaskEffect.share`).

    A row holds the face `w_plus` [1, num_ws, w_dim], `shown` versions of it with other random codes in the mask's layers, and
    their mean difference: white where nothing changes, black where most does. The sheet is [3, H, W] in [-1, 1].
    """
    network = generator.synthesis
    with torch.no_grad():
        face = network.render(network.styles(w_plus), network.noise("const"))[0].cpu()
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
