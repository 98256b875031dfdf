"""A fine-tuned model as a style: photos are inverted with its source and rendered with it (Toonify, Pinkney & Adler 2020)."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from mien.checkpoint import format
from mien.checkpoint.bundle import generator_digest, read_model
from mien.checkpoint.style import Style
from mien.errors import CheckpointError, ModelMismatchError
from mien.finetune.oneshot import changes
from mien.finetune.run_folder import sample_pictures
from mien.models.bundle import Model

_THUMBNAIL = 96


def model_style(source: Model, target: Model, name: str) -> Style:
    """What fine-tuning made of `source`'s synthesis network to get `target`'s, as a style of `source`.

    The mapping network does not matter: codes come from photos. Raises `ModelMismatchError` where `target` names another source
    or has another shape.
    """
    digest = source.provenance.digest or generator_digest(source.generator)
    base = target.provenance.base
    if base and base != digest:
        raise ModelMismatchError(
            f"The model {name!r} was fine-tuned from another model ({base}, this one is {digest}): give that one with --model."
        )
    if target.generator.config != source.generator.config:
        raise ModelMismatchError(
            f"The model {name!r} has {target.resolution} px and another shape than the model that photos are inverted with "
            f"({source.resolution} px): give the one that it was fine-tuned from with --model."
        )
    face = F.interpolate(sample_pictures(target.generator, 1, seed=0), (_THUMBNAIL, _THUMBNAIL), mode="area")[0]
    thumbnail = face.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    settings = {"model": target.provenance.name, "images_seen": target.provenance.images_seen}
    gaps = changes(source.generator.synthesis, target.generator.synthesis)
    return Style(name, digest, source.resolution, gaps, thumbnail, settings)


def open_style(path: Path, source: Model) -> Style:
    """The style in a file: a style file, or a model that was fine-tuned from `source`."""
    try:
        is_model = format.read_document(path)["kind"] == "model"
    except CheckpointError:
        is_model = False
    return model_style(source, read_model(path), path.stem) if is_model else Style.load(path)
