"""Layer swapping (Pinkney & Adler 2020): one generator's low resolutions, another one's high resolutions."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch

from mien.checkpoint import load_model
from mien.editing.config import Side
from mien.errors import InputError, ModelMismatchError
from mien.models.model import Model, Provenance


def swap_weights(resolutions: tuple[int, ...], at: int, blend: float = 0.0) -> dict[int, float]:
    """The share of the high model in every block: 0 below `at` pixels, 1 from there on.

    `blend` is the number of blocks over which the share rises instead, centered on the cut; 0 is a hard cut.
    Raises `InputError` for a cut at the lowest block or where there is none.
    """
    if at not in resolutions[1:]:
        raise InputError(f"There is no cut at {at} px: choose one of {', '.join(f'{r}px' for r in resolutions[1:])}.")
    if not 0 <= blend < math.inf:
        raise InputError(f"The blend is a number of blocks from 0, got {blend}.")
    if blend == 0:
        return {r: float(r >= at) for r in resolutions}
    middle = math.log2(at) - 0.5
    return {r: min(max(0.5 + (math.log2(r) - middle) / blend, 0.0), 1.0) for r in resolutions}


def swap_layers(
    low: Model | str | Path, high: Model | str | Path, at: int, *, blend: float = 0.0, mapping: Side = "low"
) -> Model:
    """A new model with the blocks of `low` below `at` pixels (shape, pose) and those of `high` from there on (texture, line).

    `mapping` says whose mapping network it has, and with it whose codes it understands; the encoder comes from the same model.
    The discriminator is that of `high`. With `blend` (in blocks) weights are mixed around the cut.
    Both are loaded models or files. Raises `ModelMismatchError` where the two generators are not of one shape.

    >>> mien.save_model("swapped.safetensors", mien.swap_layers("faces.safetensors", "cartoon.safetensors", at=32))
    """
    low, high = (model if isinstance(model, Model) else load_model(model) for model in (low, high))
    if low.generator.config != high.generator.config:
        raise ModelMismatchError(
            f"The two models are not of one shape ({low.generator.config} and {high.generator.config}): "
            "swap layers between a model and what was fine-tuned from it."
        )
    weights = swap_weights(low.generator.synthesis.resolutions, at, blend)
    generator = copy.deepcopy(low.generator)
    with torch.no_grad():
        for r, share in weights.items():
            block, below = generator.synthesis.block(r).state_dict(), low.generator.synthesis.block(r).state_dict()
            above = high.generator.synthesis.block(r).state_dict()
            for name, value in block.items():
                # Exactly the one or the other where nothing is mixed.
                value.copy_(below[name] if share == 0 else above[name] if share == 1 else below[name].lerp(above[name], share))
        if mapping == "high":
            generator.mapping.load_state_dict(high.generator.mapping.state_dict())
    a, b = low.provenance, high.provenance
    told = f"blocks below {at} px of {a.name} ({a.digest}), from there on of {b.name} ({b.digest})"
    if blend:
        told += f", mixed over {blend:g} blocks"
    terms = a.license if a.license == b.license else f"{a.license}; {b.license}"
    # Photos are inverted with whichever of the two the other one was fine-tuned from.
    base = b.digest if a.base and a.base == b.digest else a.digest
    provenance = Provenance(f"{a.name}+{b.name}", terms, told, max(a.images_seen, b.images_seen), base=base)
    codes = low if mapping == "low" else high
    encoder, discriminator = copy.deepcopy(codes.encoder), copy.deepcopy(high.discriminator)
    return Model(generator, discriminator, encoder, provenance, codes.blurred_background)
