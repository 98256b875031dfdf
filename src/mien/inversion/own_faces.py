"""The model's own faces, as it would meet them in photos: the codes that its encoder finds, and where their heads are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.faces.head_mask import coarse_head_mask
from mien.inversion.encode import encode
from mien.models.model import Model
from mien.models.sampling import images_of, random_codes

_COUNT, _AT_ONCE = 64, 8


@dataclass(frozen=True)
class OwnFaces:
    """Random faces of a model."""

    w_plus: Tensor
    """Their codes, [M, num_ws, w_dim]."""
    heads: Tensor
    """Masks of head, hair and neck in them, [M, 1, h, h] in [0, 1]."""


@torch.no_grad()
def own_faces(model: Model, seed: int = 0, *, encoded: bool = True, dtype: torch.dtype = torch.float32) -> OwnFaces:
    """64 random faces: what the encoder says of them or, not `encoded`, the codes of the mapping network.

    Convolutions run in `dtype`. Raises `ModelMismatchError` where a model without an encoder is to encode them.
    """
    generator = model.generator
    device = generator.mapping.w_avg.device
    mapped = random_codes(generator, _COUNT, seed=seed, psi=1)
    images = images_of(generator.synthesis, mapped, batch=_AT_ONCE, dtype=dtype).clamp(-1, 1)
    heads = torch.cat([coarse_head_mask(some.cpu()) for some in torch.split(images, _AT_ONCE)])
    if not encoded:
        return OwnFaces(mapped.to(device), heads)
    codes = torch.cat([encode(model, some.to(device)).w_plus for some in torch.split(images, _AT_ONCE)])
    return OwnFaces(codes, heads)
