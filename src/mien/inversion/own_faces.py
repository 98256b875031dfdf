"""What a model's encoder says of the model's own faces: codes of random people, as it would find them in photos."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.inversion.encode import encode
from mien.latents import broadcast
from mien.models.model import Model
from mien.runtime import seeded

_COUNT, _AT_ONCE = 128, 8


@torch.no_grad()
def own_faces(model: Model, seed: int = 0) -> Tensor:
    """The encoder's codes of 128 random faces, [128, num_ws, w_dim].

    Raises `ModelMismatchError` for a model without an encoder.
    """
    generator = model.generator
    z = torch.randn(_COUNT, generator.config.z_dim, generator=seeded(seed)).to(generator.mapping.w_avg.device)
    noise = generator.synthesis.noise("const")
    found = []
    for some in torch.split(z, _AT_ONCE):
        pictures = generator(broadcast(generator.mapping(some), generator.num_ws), noise).clamp(-1, 1)
        found.append(encode(model, pictures).w_plus)
    return torch.cat(found)
