"""Softened grounds: the head stays, what is behind it loses its detail, and nothing of the head leaks out."""

import torch

from mien.faces.background import soften_ground


def test_the_head_stays_and_the_ground_is_soft() -> None:
    generator = torch.Generator().manual_seed(0)
    crop = torch.rand(3, 64, 64, generator=generator) * 2 - 1
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1.0
    soft = soften_ground(crop, mask=mask)
    assert torch.equal(soft[:, 16:48, 16:48], crop[:, 16:48, 16:48])
    assert float(soft[:, :14].std()) < 0.25 * float(crop[:, :14].std())


def test_no_color_of_the_head_reaches_the_ground() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, 20:44, 20:44] = 1.0
    crop = torch.where(mask > 0, torch.tensor(1.0), torch.tensor(-0.5)).expand(3, -1, -1)
    soft = soften_ground(crop, mask=mask)
    assert float((soft - crop)[:, :18].abs().max()) < 0.05
