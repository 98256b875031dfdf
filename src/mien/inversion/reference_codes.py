"""The codes of the images that a style is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from mien.faces.background import as_learned
from mien.inversion.config import InvertConfig
from mien.inversion.encode import encode
from mien.inversion.methods import invert
from mien.inversion.out_of_distribution import warn_out_of_distribution
from mien.latents import Codes
from mien.models.model import Model

_STEPS_WITHOUT_ENCODER = 300


def reference_codes(
    model: Model, images: Tensor, inverter: InvertConfig | None, refine_steps: int | None, names: Sequence[str]
) -> Codes:
    """The codes of references, with the feature codes that the encoder gives where its word is the last one.

    `images` [N, 3, R, R] may hold mirror images behind the references that `names` names. Warns of those that the model
    hardly knows.
    """
    inverter = replace(inverter or InvertConfig(), feature_code=False)
    if refine_steps is None:
        refine_steps = _STEPS_WITHOUT_ENCODER if model.encoder is None and inverter.method == "encoder" else 0
    images = as_learned(model, images)
    if model.encoder is None:
        return Codes(invert(model, images, inverter, refine_steps=refine_steps).w_plus)
    said = encode(model, images)
    warn_out_of_distribution(model, images[: len(names)], said.w_plus[: len(names)], names)
    if refine_steps == 0 and inverter == InvertConfig(feature_code=False):
        return said
    return Codes(invert(model, images, inverter, refine_steps=refine_steps, said=said).w_plus)
