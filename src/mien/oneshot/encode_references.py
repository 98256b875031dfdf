"""From aligned images to what a style is learned from: their codes, their mirror images, the random codes around them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mien.inversion.config import InvertConfig
from mien.inversion.encode import mean_code
from mien.inversion.own_faces import own_faces
from mien.inversion.reference_codes import reference_codes
from mien.latents import Codes
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig
from mien.oneshot.references import References, merge_duplicates
from mien.oneshot.style_mixing import takes_own_faces


def encode_references(
    model: Model, images: Sequence[Tensor], config: OneShotConfig, *, names: Sequence[str],
    valid: Sequence[Tensor] | None = None, weights: Sequence[float] | None = None,
) -> References:  # fmt: skip
    """The references of a fit, from aligned images [3, R, R] in [-1, 1] on the CPU, on the device of the model.

    `names` is what warnings call them; `valid` are the parts of the images [1, R, R] that are to be learned (None: all);
    `weights` weigh them, and one given twice counts twice. Warns of images that the model hardly knows as faces.
    """
    kept, merged = merge_duplicates(images, weights)
    pictures = torch.stack([images[i] for i in kept])
    inside = None if valid is None else torch.stack([valid[i] for i in kept])
    # The mean face, which stands for all extreme references, can look one way only.
    views = 2 if config.mirror and not config.extreme else 1
    if views == 2:
        pictures = torch.cat([pictures, pictures.flip(3)])
        inside = None if inside is None else torch.cat([inside, inside.flip(3)])
    if config.extreme:
        codes = Codes(mean_code(model, len(pictures)))
    else:
        inverter, device = config.reference_inverter, model.generator.mapping.w_avg.device
        inverter = inverter if isinstance(inverter, InvertConfig) else InvertConfig(inverter)
        codes = reference_codes(model, pictures.to(device), inverter, config.refine_reference, [names[i] for i in kept])
    return References(
        pictures, codes.w_plus, merged, inside,
        # A feature code has the shapes of the reference, which blended codes are to forget.
        feature_codes=None if config.mean_layers else codes.detail,
        views=views,
        mixing_latents=own_faces(model, config.seed) if takes_own_faces(config, model) else None,
    )  # fmt: skip
