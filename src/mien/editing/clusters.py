"""Spherical k-means: unit vectors grouped by direction (Dhillon & Modha 2001), begun from named seeds (Basu et al. 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def nearest(vectors: Tensor, centers: Tensor, prior: Tensor) -> Tensor:
    """For each of `vectors` [N, C] the index of the center [K, C] with the most similar direction, [N].

    `prior` [N, K] is added to the similarities (cosines).
    """
    return (F.normalize(vectors, dim=1) @ centers.T + prior).argmax(dim=1)


def seeded_centers(vectors: Tensor, labels: Tensor, counts: Sequence[int], random: torch.Generator) -> tuple[Tensor, Tensor]:
    """First centers [K, C] and their labels [K]: `counts[l]` of them among the `vectors` [N, C] of each label l.

    Within a label they are spread as k-means++ does it (Arthur & Vassilvitskii 2007). A label without vectors gets none.
    """
    unit = F.normalize(vectors, dim=1)
    centers, owners = [], []
    for label, count in enumerate(counts):
        own = unit[labels == label]
        if not len(own):
            continue
        chosen = F.normalize(own.mean(dim=0, keepdim=True), dim=1)
        while len(chosen) < count:
            distance = (1 - (own @ chosen.T).amax(dim=1)).clamp(min=0) + 1e-9
            pick = torch.multinomial(distance.cpu(), 1, generator=random).item()
            chosen = torch.cat([chosen, own[int(pick)][None]])
        centers.append(chosen)
        owners += [label] * len(chosen)
    return torch.cat(centers), torch.tensor(owners)


def spherical_kmeans(vectors: Tensor, centers: Tensor, prior: Tensor, *, rounds: int = 10) -> Tensor:
    """Centers [K, C] of unit length after `rounds` of Lloyd's iterations on `vectors` [N, C]; see `nearest` for `prior`.

    A center without vectors stays as it is.
    """
    unit, centers = F.normalize(vectors, dim=1), F.normalize(centers, dim=1)
    for _ in range(rounds):
        labels = nearest(unit, centers, prior)
        sums = torch.zeros_like(centers).index_add_(0, labels, unit)
        alive = torch.bincount(labels, minlength=len(centers)) > 0
        centers = torch.where(alive[:, None], F.normalize(sums, dim=1), centers)
    return centers
