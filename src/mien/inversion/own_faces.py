"""What a model's encoder says of the model's own faces: codes of random people, as it would find them in photos."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.inversion.encode import encode
from mien.models.model import Model
from mien.models.sampling import images_of, random_codes

_COUNT, _AT_ONCE = 128, 8


@torch.no_grad()
def own_faces(model: Model, seed: int = 0) -> Tensor:
    """The encoder's codes of 128 random faces, [128, num_ws, w_dim].

    Raises `ModelMismatchError` for a model without an encoder.
    """
    generator = model.generator
    images = images_of(generator.synthesis, random_codes(generator, _COUNT, seed=seed, psi=1), batch=_AT_ONCE).clamp(-1, 1)
    return torch.cat([encode(model, some.to(generator.mapping.w_avg.device)).w_plus for some in torch.split(images, _AT_ONCE)])
