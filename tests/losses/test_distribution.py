"""The sliced Wasserstein distance of feature maps."""

import pytest
import torch
import torch.nn.functional as F

from mien.losses.distribution import distribution_distance, reference_sliced_wasserstein, sliced_wasserstein


def _random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fast_path_agrees_with_the_definition() -> None:
    one, other = torch.randn(200, 5, generator=_random(1)), torch.randn(200, 5, generator=_random(2)) * 2 + 0.5
    directions = F.normalize(torch.randn(5, 7, generator=_random(3)), dim=0)
    found = sliced_wasserstein(one, other, directions)
    assert found > 0.1
    assert float(found) == pytest.approx(float(reference_sliced_wasserstein(one, other, directions)), rel=1e-4)


def test_a_shift_is_its_own_distance() -> None:
    samples, directions = torch.randn(100, 3, generator=_random()), torch.eye(3)
    shift = torch.tensor([0.3, 0.0, -0.6])
    assert float(sliced_wasserstein(samples, samples + shift, directions)) == pytest.approx(0.3, rel=1e-4)


def test_places_do_not_matter_and_statistics_do() -> None:
    maps = torch.randn(6, 64, 64, generator=_random(1))
    shuffled = maps.flatten(1)[:, torch.randperm(64 * 64, generator=_random(2))].view_as(maps)
    same, other = (float(distribution_distance(x, maps, _random(3))) for x in (shuffled, maps * 1.5))
    assert same < 0.05 < 0.2 < other


def test_only_what_lies_inside_the_regions_counts() -> None:
    maps = torch.randn(6, 32, 32, generator=_random(1))
    changed = maps.clone()
    changed[:, :, :16] += 3  # the left half
    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    inside = distribution_distance(changed, maps, _random(2), (left, left))
    outside = distribution_distance(changed, maps, _random(2), (1 - left, 1 - left))
    assert float(outside) < 0.1 < 1 < float(inside)


def test_gradients_bring_the_distributions_together() -> None:
    target = torch.randn(4, 16, 16, generator=_random(1)) * 0.5 + 1
    maps, random = torch.zeros(4, 16, 16, requires_grad=True), _random(2)
    optimizer = torch.optim.Adam([maps], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        distribution_distance(maps, target, random).backward()
        optimizer.step()
    assert float(maps.detach().mean()) == pytest.approx(float(target.mean()), abs=0.1)
    assert float(maps.detach().std()) == pytest.approx(float(target.std()), abs=0.15)


def test_an_empty_region_costs_nothing() -> None:
    maps = torch.randn(4, 16, 16, generator=_random(1))
    none, everything = torch.zeros(1, 16, 16), torch.ones(1, 16, 16)
    assert float(distribution_distance(maps + 5, maps, _random(2), (none, everything))) == 0
