"""Distances of feature sets against naive float64 code and scipy."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from torch import Tensor

from mien.metrics.distances import cosine_statistics, cosines, frechet_distance, kernel_distance, nearest_neighbours


def _features(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) @ mix + shift


def _frechet_with_scipy(a: Tensor, b: Tensor) -> float:
    x, y = a.numpy(), b.numpy()
    cx, cy = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    root = np.real(linalg.sqrtm(cx @ cy))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx) + np.trace(cy) - 2 * np.trace(root))


@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 8), (200, 30, 16), (50, 50, 1)])
def test_frechet_distance_agrees_with_scipy(n: int, m: int, d: int) -> None:
    a, b = _features(n, d, 1), _features(m, d, 2, shift=0.5)
    assert frechet_distance(a, b) == pytest.approx(_frechet_with_scipy(a, b), rel=1e-8)


def test_frechet_distance_is_exact_with_fewer_images_than_dimensions() -> None:
    # Covariances of rank 5 and 8 in 20 dimensions: compare with the roots of the five eigenvalues that are not zero.
    a, b = _features(6, 20, 3), _features(9, 20, 4)
    ca, cb = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    values, vectors = np.linalg.eigh(ca)
    half = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    middle = np.linalg.eigvalsh(half @ cb @ half)[-5:]
    expected = float(((a.mean(0) - b.mean(0)) ** 2).sum()) + np.trace(ca) + np.trace(cb) - 2 * np.sqrt(middle).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_known_gaussians_and_of_equal_sets() -> None:
    a = _features(300, 5, 5)
    shifted = a + torch.tensor([3.0, 0, 0, 0, 4.0])
    assert frechet_distance(a, shifted) == pytest.approx(25.0, rel=1e-9)
    # Scaling a set by 2 scales the deviations: sum of (2s - s)^2 = tr(C), beside the shift of the mean.
    expected = float(torch.cov(a.T).trace() + a.mean(0).square().sum())
    assert frechet_distance(a, 2 * a) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0.0, abs=1e-9)


def _kernel_naively(a: Tensor, b: Tensor) -> float:
    d = a.shape[1]

    def k(x: Tensor, y: Tensor) -> float:
        return (sum(float(p) * float(q) for p, q in zip(x, y, strict=True)) / d + 1) ** 3

    aa = [k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    bb = [k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    ab = [k(x, y) for x in a for y in b]
    return float(np.mean(aa) + np.mean(bb) - 2 * np.mean(ab))


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_kernel_distance_agrees_with_loops_in_any_block_size(block: int) -> None:
    a, b = _features(11, 4, 6), _features(7, 4, 7, shift=1.0)
    assert kernel_distance(a, b, block=block) == pytest.approx(_kernel_naively(a, b), rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    # Mean over many small draws from one distribution: zero within its standard error; the biased estimate would not be.
    values = [kernel_distance(_unit(8, seed), _unit(8, seed + 10_000)) for seed in range(400)]
    error = float(np.std(values)) / len(values) ** 0.5
    assert abs(float(np.mean(values))) < 4 * error
    biased = float(np.mean([(x.square().sum(1) / 4 + 1).pow(3).mean() / 8 for x in (_unit(8, s) for s in range(50))]))
    assert biased > 8 * error


def _unit(n: int, seed: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kernel_distance_grows_with_the_shift() -> None:
    a = _unit(100, 1)
    distances = [kernel_distance(a, _unit(100, 2) + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert distances == sorted(distances)
    assert abs(distances[0]) < distances[1]


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 12), m=st.integers(1, 12), d=st.integers(1, 6), block=st.integers(1, 5))
def test_nearest_neighbours_agree_with_loops(n: int, m: int, d: int, block: int) -> None:
    queries, references = _features(n, d, n), _features(m, d, m + 100)
    count = min(3, m)
    found = nearest_neighbours(queries, references, count, block=block)
    for i, q in enumerate(queries.numpy()):
        cosine = [float(q @ r / np.linalg.norm(q) / np.linalg.norm(r)) for r in references.numpy()]
        best = sorted(cosine, reverse=True)[:count]
        assert found.similarity[i].tolist() == pytest.approx(best, abs=1e-9)
        assert [cosine[j] for j in found.index[i].tolist()] == pytest.approx(best, abs=1e-9)


def test_nearest_neighbour_of_a_copy_is_the_copy() -> None:
    references = _features(20, 6, 8)
    found = nearest_neighbours(references[[7, 3]] * 2.5, references)
    assert found.index[:, 0].tolist() == [7, 3]
    assert found.similarity[:, 0].tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("block", [1, 3, 100])
def test_cosine_statistics_agree_with_loops(block: int) -> None:
    features = _features(13, 5, 9)
    x = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    pairs = sorted(float(x[i] @ x[j]) for i, j in itertools.combinations(range(13), 2))
    near = [max(float(x[i] @ x[j]) for j in range(13) if j != i) for i in range(13)]
    made = cosine_statistics(features, block=block)
    assert made.mean == pytest.approx(np.mean(pairs), abs=1e-12)
    assert made.std == pytest.approx(np.std(pairs), abs=1e-12)
    assert made.largest == pytest.approx(pairs[-1])
    assert made.percentile_99 == pytest.approx(pairs[int(0.99 * len(pairs))])
    assert made.nearest_mean == pytest.approx(np.mean(near))
    assert made.count == 13


def test_cosines_compare_row_by_row() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [2.0, 0.0]])
    b = torch.tensor([[5.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert cosines(a, b).tolist() == pytest.approx([1.0, 0.5**0.5, 0.0, -1.0])


def test_wrong_matrices_are_refused() -> None:
    good = _features(5, 3, 1)
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        frechet_distance(good[0], good)
    with pytest.raises(ValueError, match="N >= 2"):
        kernel_distance(good, good[:1])
    with pytest.raises(ValueError, match="different lengths"):
        frechet_distance(good, good[:, :2])
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(good, good * torch.nan)
    with pytest.raises(ValueError, match="count must be"):
        nearest_neighbours(good, good, 6)
    with pytest.raises(ValueError, match="one to one"):
        cosines(good, good[:3])
    with pytest.raises(ValueError, match="block"):
        cosine_statistics(good, block=0)
