"""Around a drawn head the photo takes its colors: hair goes on in them, the ground and everything far away stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.faces.align import CropFrame, extract
from mien.faces.guided import along, follow, guided_lines
from mien.faces.recolor import _solved, spread_colors
from mien.media.images import ImageData

FRAME = CropFrame((100.0, 100.0), 80.0)


def _scene() -> tuple[ImageData, NDArray[np.bool_]]:
    """A band of dark hair that leaves the crop upwards and downwards, before a light wall; and where the band is."""
    y, x = np.mgrid[0:200, 0:200] + 0.5
    hair = np.abs(x - 100) < 28
    strands = 8 * np.sin(x * 1.3)
    pixels = np.where(hair[..., None], np.array([60, 40, 30]) + strands[..., None], np.array([210, 215, 220]))
    return ImageData(pixels.round().astype(np.uint8)), hair & (y > 0)


def _spread(shift: tuple[float, float, float]) -> tuple[ImageData, ImageData, NDArray[np.bool_]]:
    image, hair = _scene()
    crop, _ = extract(image.rgb(), FRAME, 80)
    line = (torch.arange(80) + 0.5) - 40
    head = (line.abs() < 28).float().expand(1, 80, 80)
    drawn = crop + torch.tensor(shift)[:, None, None] * head
    return image, spread_colors(image, FRAME, drawn, head, head), hair


def test_hair_beyond_the_crop_takes_the_drawings_colors_and_less_with_the_distance() -> None:
    image, result, _ = _spread((0.5, -0.1, 0.3))
    change = result.pixels.astype(int) - image.pixels
    just_above, further, far = (change[row, 90:110].mean(axis=0) for row in (56, 42, 24))
    assert just_above[0] > 0.6 * 0.5 * 127.5
    assert just_above[2] > 0.6 * 0.3 * 127.5
    assert just_above[0] > further[0] > far[0]
    below = change[144, 90:110].mean(axis=0)
    assert below[0] == pytest.approx(just_above[0], rel=0.2), "the same on both sides"


def test_ground_stays_as_it_is_and_so_does_everything_far_away() -> None:
    image, result, hair = _spread((0.5, -0.1, 0.3))
    y, x = np.mgrid[0:200, 0:200]
    ground = ~hair & (np.abs(x - 100) > 34)
    assert np.array_equal(result.pixels[ground], image.pixels[ground])
    outside = (np.abs(x - 100) > 73) | (np.abs(y - 100) > 73)  # the square in which colors are carried on
    assert np.array_equal(result.pixels[outside], image.pixels[outside])


def test_strands_keep_their_contrast() -> None:
    image, result, _ = _spread((0.4, 0.4, 0.4))
    row = 100
    before, after = (p.pixels[row, 80:120, 0].astype(float).std() for p in (image, result))
    assert after == pytest.approx(before, rel=0.25)


def test_equal_colors_change_nothing() -> None:
    image, result, _ = _spread((0.0, 0.0, 0.0))
    assert np.array_equal(result.pixels, image.pixels)
    assert result is image


def test_shift_minimizes_its_energy() -> None:
    """Conjugate gradients against the solution of the linear system, float64."""
    n = 9
    photo = torch.rand(3, n, n) * 0.1
    wanted, hold = torch.randn(3, n, n), (torch.rand(1, n, n) > 0.7).float()
    still = (torch.rand(1, n, n) > 0.8).float() * 4
    from mien.faces import recolor

    matrix = torch.zeros(n * n, n * n, dtype=torch.float64)
    for i in range(n):
        for j in range(n):
            here = i * n + j
            matrix[here, here] += float(hold[0, i, j] + still[0, i, j]) + (recolor._FAR * n / recolor._WIDER) ** -2
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < n and m < n:
                    apart = float((photo[:, i, j] - photo[:, k, m]).square().sum())
                    weight, there = np.exp(-apart / (2 * recolor._EDGE**2)), k * n + m
                    matrix[here, here] += weight
                    matrix[there, there] += weight
                    matrix[here, there] -= weight
                    matrix[there, here] -= weight
    exact = torch.linalg.solve(matrix, (hold * wanted).flatten(1).T.double()).T.reshape(3, n, n)
    assert torch.allclose(_solved(photo, wanted, hold, still).double(), exact, atol=1e-4)


# --- the guided filter -----------------------------------------------------------------------------------------------


def _naive(guide: Tensor, plane: Tensor, reach: int, tolerance: float) -> Tensor:
    """The guided filter as its paper has it, window after window, in float64."""
    _, height, width = guide.shape
    padded = [torch.nn.functional.pad(p[None].double(), (reach,) * 4, mode="replicate")[0] for p in (guide, plane)]
    lines = torch.zeros(4, height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            window = [p[:, i : i + 2 * reach + 1, j : j + 2 * reach + 1].flatten(1) for p in padded]
            mean_guide, mean_plane = window[0].mean(dim=1), window[1].mean()
            covariance = window[0] @ window[0].T / window[0].shape[1] - torch.outer(mean_guide, mean_guide)
            both = (window[0] * window[1]).mean(dim=1) - mean_guide * mean_plane
            slope = torch.linalg.solve(covariance + tolerance * torch.eye(3, dtype=torch.float64), both)
            lines[:3, i, j], lines[3, i, j] = slope, mean_plane - slope @ mean_guide
    lines = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(lines[None], (reach,) * 4, mode="replicate"), 2 * reach + 1, 1
    )[0]
    return (lines[:3] * guide.double()).sum(dim=0) + lines[3]


def test_guided_filter_is_its_formula() -> None:
    guide, planes = torch.rand(3, 12, 14), torch.rand(2, 12, 14)
    found = follow(guide, planes, 2, tolerance=1e-2)
    for plane, exact in zip(planes, found, strict=True):
        assert torch.allclose(exact.double(), _naive(guide, plane[None], 2, 1e-2), atol=1e-4)


def test_guided_lines_on_the_same_image_are_the_filter() -> None:
    guide, planes = torch.rand(3, 20, 20), torch.rand(1, 20, 20)
    assert torch.equal(along(guide, *guided_lines(guide, planes, 3)), follow(guide, planes, 3))
