"""Feed-forward inversion: one look, or several in the manner of ReStyle (Alaluf et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import ModelMismatchError
from mien.latents import broadcast
from mien.models.bundle import Model
from mien.models.compact_encoder import CompactEncoder


def mean_code(model: Model, count: int = 1) -> Tensor:
    """The mean code as W+ [count, num_ws, w_dim]: the average face, the inversion of nothing at all."""
    w = model.generator.mapping.w_avg[None].expand(count, -1)
    return broadcast(w, model.generator.num_ws).clone()


@torch.no_grad()
def encode(model: Model, pictures: Tensor) -> Tensor:
    """Invert aligned pictures [N, 3, S, S] in [-1, 1] to W+ [N, num_ws, w_dim] with the model's encoder.

    Raises `ModelMismatchError` when the model has no encoder.
    """
    if model.encoder is None:
        raise ModelMismatchError(
            "This model has no encoder, so pictures cannot be inverted in one look: "
            "give one with --encoder, or use --refine 300 to optimise the code from the mean face."
        )
    encoder = model.encoder
    if not isinstance(encoder, CompactEncoder):
        code: Tensor = encoder(pictures)
        return code
    pictures = resize(pictures, encoder.config.resolution)
    code, rendering = mean_code(model, len(pictures)), None
    noise = model.generator.synthesis.noise("const")
    for round_ in range(encoder.config.iterations):
        code = encoder(pictures, code, rendering)
        if round_ + 1 < encoder.config.iterations:
            rendering = resize(model.generator(code, noise), encoder.config.resolution)
    return code


def resize(pictures: Tensor, size: int) -> Tensor:
    """Pictures [N, 3, H, W] at [N, 3, size, size], anti-aliased when they shrink."""
    if pictures.shape[-1] == size and pictures.shape[-2] == size:
        return pictures
    return F.interpolate(pictures, (size, size), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)
