"""Identity loss: the tuned generator's picture of a code still shows the person that the untuned one shows.

Chong & Forsyth 2022, section 4: `1 - cos(F(G(s; theta)), F(G(s; theta_0)))` with a face recognition network F, both pictures
grey, so that colour stays the style's own affair. (The published code adds the cosine itself, which drives the two apart.)
"""

from __future__ import annotations

from torch import Tensor

from mien.losses.features import grey
from mien.models.embedders import Embedder


def identity_loss(network: Embedder, pictures: Tensor, originals: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of 1 - cosine between whom `pictures` and `originals` [N, 3, R, R] in [-1, 1] show: 0 (the same) to 2.

    `weights` [N], with mean 1, weighs the pictures of the batch against each other. Computed in float32.
    """
    found, wanted = (network.embed_crop(grey(p.float())) for p in (pictures, originals))
    # For vectors of length 1 this is 1 - cosine, and exactly 0 for equal ones.
    gap = (found - wanted).square().sum(dim=1) / 2
    return gap.mean() if weights is None else (gap * weights).mean()
