"""How differently the features of two images are distributed, wherever in the image each of them lies.

The one-shot loss compares feature maps place by place, which needs two images of the same face. Of two different faces only the
statistics can agree. The sliced Wasserstein distance (Rabin et al. 2011) takes the features of all places as one set, and
compares two sets along random directions. Heitz et al. 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis", show
that it captures the whole distribution, unlike Gram matrices; Elnekave & Weiss 2022, "Generating natural images with direct
patch distributions matching", that one image is enough to learn it from.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_DIRECTIONS = 32
_MOST = 4096  # places of a feature map that are compared, drawn anew each time
_FEWEST = 16  # a region of fewer places says nothing about a distribution


def sliced_wasserstein(one: Tensor, other: Tensor, directions: Tensor) -> Tensor:
    """Mean over `directions` [C, K] of the Wasserstein-1 distance between the projections of two sets of samples [M, C].

    Both sets are of the same size, so that sorting pairs them up. Computed in float32.
    """
    gaps = (one.float() @ directions).sort(dim=0).values - (other.float() @ directions).sort(dim=0).values
    return gaps.abs().mean()


def reference_sliced_wasserstein(one: Tensor, other: Tensor, directions: Tensor) -> Tensor:
    """The definition of `sliced_wasserstein`: the area between two cumulative distributions, one direction at a time."""
    distances = []
    for direction in directions.T:
        a, b = one.float() @ direction, other.float() @ direction
        places = torch.cat([a, b]).sort().values
        below_a, below_b = ((x[None] <= places[:-1, None]).float().mean(dim=1) for x in (a, b))
        distances.append(((below_a - below_b).abs() * places.diff()).sum())
    return torch.stack(distances).mean()


def distribution_distance(
    features: Tensor, target: Tensor, random: torch.Generator, regions: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Sliced Wasserstein distance between the features of two maps [C, h, w], along directions drawn from `random`.

    `regions` are masks [1, H, W] in [0, 1], one for each of the two: only places inside count. 0 where one of them has next to
    no places.
    """
    channels, height, width = features.shape
    first, second = (_inside(mask, height, width) for mask in regions or (None, None))
    if min(len(first), len(second)) < _FEWEST:
        return features.new_zeros((), dtype=torch.float32)
    count = min(_MOST, height * width)
    directions = F.normalize(torch.randn(channels, _DIRECTIONS, generator=random), dim=0).to(features.device)

    def drawn(maps: Tensor, places: Tensor) -> Tensor:
        chosen = places[torch.randint(len(places), (count,), generator=random)]
        return maps.flatten(1)[:, chosen.to(maps.device)].T

    return sliced_wasserstein(drawn(features, first), drawn(target, second), directions)


def _inside(mask: Tensor | None, height: int, width: int) -> Tensor:
    """The places of a map that lie inside a mask [1, H, W], as numbers on the CPU; None: all of them."""
    if mask is None:
        return torch.arange(height * width)
    small = F.interpolate(mask[None].float(), (height, width), mode="bilinear", antialias=True, align_corners=False)
    return (small.flatten() > 0.5).nonzero()[:, 0].cpu()
