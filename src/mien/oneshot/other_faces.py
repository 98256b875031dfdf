"""Other faces are supervised too: their features are to be distributed as the reference's are.

The published loss sees one face, the reference's. What hair and skin of everybody else become is left to chance, and shows it.
So in every step the tuned generator also draws some of the model's own faces, and the sliced Wasserstein distance of their
feature maps to the reference's is part of the loss (see `mien.losses.distribution`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mien.inversion.own_faces import OwnFaces
from mien.losses.distribution import distribution_distance
from mien.oneshot.config import Regions

USUAL_WEIGHT = 0.5
"""Of this loss, beside the style distance."""
MAPS = 2
"""How many of the extractor's maps are compared, the largest first: those of R/2 and R/8 hold color, stroke and texture."""


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
