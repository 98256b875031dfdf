"""Feed-forward inversion: one look, or several in the manner of ReStyle (Alaluf et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.errors import ModelMismatchError
from mien.latents import Codes, broadcast
from mien.models.compact_encoder import CompactEncoder
from mien.models.irse_encoder import IrseEncoder
from mien.models.model import Model
from mien.ops import resize

_RESTYLE_ROUNDS = 5  # of the paper and its published models


def mean_code(model: Model, count: int = 1) -> Tensor:
    """The mean code as W+ [count, num_ws, w_dim]: the average face, the inversion of nothing at all."""
    w = model.generator.mapping.w_avg[None].expand(count, -1)
    return broadcast(w, model.generator.num_ws).clone()


@torch.no_grad()
def encode(model: Model, images: Tensor) -> Codes:
    """Invert aligned images [N, 3, S, S] in [-1, 1] with the model's encoder: W+, and a feature code if it makes one.

    Raises `ModelMismatchError` when the model has no encoder.
    """
    if model.encoder is None:
        raise ModelMismatchError(
            "This model has no encoder, so images cannot be inverted in one look: "
            "give one as `encoder`, or 300 `refine_steps` to optimize the code from the mean face."
        )
    encoder = model.encoder
    if isinstance(encoder, IrseEncoder):
        return Codes(_encode_irse(model, encoder, images))
    assert isinstance(encoder, CompactEncoder), f"no way to use a {type(encoder).__name__}"
    images = resize(images, encoder.config.resolution)
    code, rendering, feature_code = mean_code(model, len(images)), None, None
    noise = model.generator.synthesis.noise("const")
    for round_ in range(encoder.config.iterations):
        code, feature_code = encoder.look(images, code, rendering)
        if round_ + 1 < encoder.config.iterations:
            rendering = resize(model.generator(code, noise), encoder.config.resolution)
    return Codes(code, feature_code)


def _encode_irse(model: Model, encoder: IrseEncoder, images: Tensor) -> Tensor:
    """pSp and e4e look once, for the offset to the mean code; ReStyle looks several times, at its last rendering too."""
    images = resize(images, encoder.config.resolution)
    if encoder.latent_avg is None:
        code = mean_code(model, len(images))
    else:  # what its offsets were learned for
        code = encoder.latent_avg.expand(len(images), -1, -1)
    if not encoder.config.iterative:
        offset: Tensor = encoder(images)
        return code + offset
    noise = model.generator.synthesis.noise("const")
    for _ in range(_RESTYLE_ROUNDS):
        rendering = resize(model.generator(code, noise), encoder.config.resolution)
        code = code + encoder(torch.cat([images, rendering], dim=1))
    return code
