"""Distances between sets of images, as pure maths on feature matrices [N, D], one row per image; all in float64.

Frechet distance: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6.
Kernel distance: Binkowski et al., "Demystifying MMD GANs" (2018), section 3 and appendix A.
Which extractor the features come from is part of every figure's name ("FD-EfficientNet-Lite1"): those of two do not compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 1024
"""Rows compared at a time, which bounds the memory."""


def _matrix(features: Tensor, name: str, least: int = 2) -> Tensor:
    if features.ndim != 2 or features.shape[0] < least or features.shape[1] < 1:
        raise ValueError(f"{name} must be [N, D] with N >= {least} and D >= 1, got {list(features.shape)}")
    values = features.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name} has values that are not finite")
    return values


def _pair(a: Tensor, b: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    a, b = _matrix(a, "the first feature matrix", least), _matrix(b, "the second feature matrix", least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of different lengths: {a.shape[1]} and {b.shape[1]}")
    return a, b


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance of the Gaussians fitted to `a` [N, D] and `b` [M, D], in squared units of the features.

    |mean_a - mean_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^(1/2)), covariances with N - 1. The estimate is biased upwards for
    small N, by more where D is larger: compare at equal N only, beside a floor of two halves of real images.

    With C = X^T X the last trace is the nuclear norm of X_a X_b^T. Unlike the square root of a product of covariances that is
    exact for fewer images than dimensions, and nothing has to be added to a diagonal.
    """
    a, b = _pair(a, b)
    mean_a, mean_b = a.mean(0), b.mean(0)
    root_a, root_b = ((x - m) / (x.shape[0] - 1) ** 0.5 for x, m in ((a, mean_a), (b, mean_b)))
    between = torch.linalg.svdvals(_compact(root_a) @ _compact(root_b).T).sum()
    distance = (mean_a - mean_b).square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * between
    return max(0.0, float(distance))


def _compact(x: Tensor) -> Tensor:
    """A matrix of at most D rows with the same X^T X."""
    return x if x.shape[0] <= x.shape[1] else torch.linalg.qr(x, mode="r").R


def kernel_distance(a: Tensor, b: Tensor, *, block: int = _BLOCK) -> float:
    """Squared maximum mean discrepancy of `a` [N, D] and `b` [M, D] with the kernel (x.y / D + 1)^3, unbiased ("KID").

    All pairs count, so it is the mean over all subsets that other implementations sample, without their randomness. It can come
    out slightly below 0 for sets of one distribution. `block` rows are compared at a time; it changes memory, not the result.
    """
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    a, b = _pair(a, b)

    def kernel_sum(x: Tensor, y: Tensor) -> float:
        return sum(float((rows @ y.T / y.shape[1] + 1).pow(3).sum()) for rows in torch.split(x, block))

    def within(x: Tensor) -> float:
        diagonal = (x.square().sum(1) / x.shape[1] + 1).pow(3).sum()
        return (kernel_sum(x, x) - float(diagonal)) / (x.shape[0] * (x.shape[0] - 1))

    return within(a) + within(b) - 2 * kernel_sum(a, b) / (a.shape[0] * b.shape[0])


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosine [N] of every row of `a` [N, D] with the same row of `b` [N, D]; a row of zeros gives 0."""
    a, b = _pair(a, b, least=1)
    if a.shape != b.shape:
        raise ValueError(f"rows are compared one to one: got {a.shape[0]} and {b.shape[0]}")
    return (F.normalize(a, dim=1) * F.normalize(b, dim=1)).sum(1)


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of the references for each query, nearest first."""

    similarity: Tensor
    """[N, count] cosine, descending."""
    index: Tensor
    """[N, count] row of the references (int64)."""


def nearest_neighbours(queries: Tensor, references: Tensor, count: int = 1, *, block: int = _BLOCK) -> Neighbours:
    """For every row of `queries` [N, D] the `count` rows of `references` [M, D] of the largest cosine.

    Of rows equally near the one with the lowest index comes first.
    """
    queries, references = _pair(queries, references, least=1)
    if not 1 <= count <= references.shape[0]:
        raise ValueError(f"count must be from 1 to the {references.shape[0]} references, got {count}")
    to, similarity, index = F.normalize(references, dim=1), [], []
    for rows in torch.split(F.normalize(queries, dim=1), block):
        values, order = (rows @ to.T).sort(dim=1, descending=True, stable=True)
        similarity.append(values[:, :count])
        index.append(order[:, :count])
    return Neighbours(torch.cat(similarity), torch.cat(index))


@dataclass(frozen=True)
class CosineStatistics:
    """How alike the images of one set are: cosines of all pairs of different images."""

    mean: float
    std: float
    percentile_99: float
    """One pair in a hundred is more alike than this."""
    largest: float
    nearest_mean: float
    """Mean over all images of the cosine with the most similar other one; grows with the number of images."""
    count: int
    """Images compared."""


def cosine_statistics(features: Tensor, *, block: int = _BLOCK) -> CosineStatistics:
    """Cosines between all pairs of rows of `features` [N, D]: the closer to 0, the more diverse the set."""
    features = F.normalize(_matrix(features, "the feature matrix"), dim=1)
    pairs, nearest = [], []
    for start, values in _row_blocks(features, block):
        own = torch.arange(values.shape[0])
        values[own, start + own] = -torch.inf
        nearest.append(values.max(dim=1).values)
        # Every pair once: what lies right of the diagonal.
        above = torch.ones_like(values, dtype=torch.bool).triu(diagonal=start + 1)
        pairs.append(values[above])
    all_pairs = torch.cat(pairs).sort().values
    at = min(len(all_pairs) - 1, int(0.99 * len(all_pairs)))
    return CosineStatistics(
        mean=float(all_pairs.mean()),
        std=float(all_pairs.std(correction=0)),
        percentile_99=float(all_pairs[at]),
        largest=float(all_pairs[-1]),
        nearest_mean=float(torch.cat(nearest).mean()),
        count=features.shape[0],
    )


def _row_blocks(unit: Tensor, block: int) -> Iterator[tuple[int, Tensor]]:
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    for start in range(0, unit.shape[0], block):
        yield start, unit[start : start + block] @ unit.T
