"""Other faces are supervised too: their features are to be distributed as the reference's are.

The published loss sees one face, the reference's. What hair and skin of everybody else become is left to chance, and shows it.
So in every step the tuned generator also draws some of the model's own faces, and the sliced Wasserstein distance of their
feature maps to the reference's is part of the loss (see `mien.losses.distribution`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mien.faces.head_mask import coarse_head_mask
from mien.inversion.encode import encode
from mien.inversion.kept import LastOfModel
from mien.losses.distribution import distribution_distance
from mien.models.model import Model
from mien.models.sampling import images_of, random_codes
from mien.oneshot.config import Regions

USUAL_WEIGHT = 0.5
"""Of this loss, beside the style distance."""
MAPS = 2
"""How many of the extractor's maps are compared, the largest first: those of R/2 and R/8 hold color, stroke and texture."""
_COUNT, _AT_ONCE = 64, 8


@dataclass(frozen=True)
class OwnFaces:
    """Random faces of a model."""

    w_plus: Tensor
    """Their codes, [M, num_ws, w_dim]."""
    heads: Tensor
    """Masks of head, hair and neck in them, [M, 1, h, h] in [0, 1]."""


_kept = LastOfModel[OwnFaces]()


def own_faces(model: Model, seed: int = 0, *, encoded: bool = True, dtype: torch.dtype = torch.float32) -> OwnFaces:
    """64 random faces: what the encoder says of them or, not `encoded`, the codes of the mapping network.

    Convolutions run in `dtype`. Drawing them takes seconds: it is done once for as long as the same model, by its weights, is
    asked for. Raises `ModelMismatchError` where a model without an encoder is to encode them.
    """
    networks = (model.generator, model.encoder if encoded else None)
    settings = (model.generator.mapping.w_avg.device, seed, encoded, dtype)
    return _kept.get(networks, settings, lambda: _drawn(model, seed, encoded, dtype))


@torch.no_grad()
def _drawn(model: Model, seed: int, encoded: bool, dtype: torch.dtype) -> OwnFaces:
    generator = model.generator
    device = generator.mapping.w_avg.device
    mapped = random_codes(generator, _COUNT, seed=seed, psi=1)
    images = images_of(generator.synthesis, mapped, batch=_AT_ONCE, dtype=dtype).clamp(-1, 1)
    heads = torch.cat([coarse_head_mask(some.cpu()) for some in torch.split(images, _AT_ONCE)])
    if not encoded:
        return OwnFaces(mapped.to(device), heads)
    codes = torch.cat([encode(model, some.to(device)).w_plus for some in torch.split(images, _AT_ONCE)])
    return OwnFaces(codes, heads)


class OtherFaces:
    """Draws other faces and compares them with the references."""

    def __init__(
        self, faces: OwnFaces, targets: Sequence[Tensor], heads: Tensor, regions: Regions,
        features: Callable[[Tensor], Sequence[Tensor]],
    ) -> None:  # fmt: skip
        """`targets` are the feature maps [N, C, h, w] of the references, `heads` [N, 1, H, W] the masks of their heads.

        `regions` says which places of the two are compared; `features` renders codes [1, num_ws, w_dim] by the tuned generator
        and returns the feature maps of the image.
        """
        self.faces, self.targets, self.heads, self.regions, self.features = faces, targets[:MAPS], heads, regions, features

    def distance(self, index: Tensor, count: int, random: torch.Generator) -> Tensor:
        """Mean distance of `count` random faces to the references that `index` [n] names, in turn."""
        distances = []
        for k in range(count):
            face = int(torch.randint(len(self.faces.w_plus), (1,), generator=random))
            distances.append(self._one(face, int(index[k % len(index)]), random))
        return torch.stack(distances).mean()

    def _one(self, face: int, reference: int, random: torch.Generator) -> Tensor:
        found = self.features(self.faces.w_plus[face : face + 1])
        head, wanted = self.faces.heads[face], self.heads[reference]
        pairs: list[tuple[Tensor, Tensor] | None] = [None]
        if self.regions != "all":
            pairs = [(head, wanted)] if self.regions == "head" else [(head, wanted), (1 - head, 1 - wanted)]
        distances = [
            distribution_distance(maps[0], target[reference], random, pair)
            for maps, target in zip(found[:MAPS], self.targets, strict=True)
            for pair in pairs
        ]
        return torch.stack(distances).sum() / len(self.targets)
