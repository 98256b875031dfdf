"""The rest of the photo takes the colors of the style, as far as it is told to, and nothing but its colors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.faces.align import CropFrame, extract
from mien.faces.results import AlignedFace, AlignedPhoto
from mien.faces.surroundings import change_colors, fit_colors, restyle_surroundings
from mien.media.images import ImageData

GRAY_STYLE = torch.tensor([0.299, 0.587, 0.114])


def _photo(side: float = 80.0, **kind: Any) -> AlignedPhoto:
    """A photo of random smooth colors, 120 x 100, with one face in it."""
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    colors = torch.nn.functional.interpolate(coarse, size=(100, 120), mode="bicubic").clamp(0, 1)[0]
    image = ImageData((colors * 255).round().byte().permute(1, 2, 0).numpy().copy(), **kind)
    frame = CropFrame((60.0, 50.0), side)
    return AlignedPhoto(image, [AlignedFace(frame, *extract(image.rgb(), frame, 64))])


def _gray(crops: Tensor) -> Tensor:
    return (crops * GRAY_STYLE[:, None, None]).sum(dim=-3, keepdim=True).expand_as(crops)


def _crops(photo: AlignedPhoto) -> Tensor:
    return torch.stack([face.crop for face in photo.faces])


def test_what_a_style_does_to_colors_is_found() -> None:
    crops = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    matrix, offset = torch.tensor([[0.7, 0.2, 0.0], [0.1, 0.5, 0.1], [0.0, 0.1, 0.6]]), torch.tensor([0.1, 0.0, -0.1])
    drawn = torch.einsum("ij,njhw->nihw", matrix, crops) + offset[:, None, None]
    change = fit_colors(crops, drawn, torch.ones(2, 1, 64, 64))
    assert torch.allclose(change[:, :3] + torch.eye(3), matrix, atol=0.06)
    assert torch.allclose(change[:, 3], offset, atol=0.01)


def test_what_lies_outside_the_photo_does_not_count() -> None:
    crops = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    valid = torch.ones(1, 1, 64, 64)
    valid[..., 32:] = 0
    drawn = crops.clone()
    drawn[..., 32:] = 1
    assert fit_colors(crops, drawn, valid).abs().max() < 1e-6


def test_a_gray_style_makes_the_whole_photo_gray() -> None:
    photo = _photo()
    result = restyle_surroundings(photo, _gray(_crops(photo)), 1.0).pixels.astype(int)
    before = photo.image_data.pixels.astype(int)
    assert np.ptp(result, axis=2).mean() < 0.1 * np.ptp(before, axis=2).mean()
    assert np.abs(result.mean(axis=2) - before @ GRAY_STYLE.numpy()).mean() < 3, "its detail stays"


def test_the_share_is_that_of_the_change() -> None:
    photo = _photo()
    drawn, before = _gray(_crops(photo)), photo.image_data.pixels.astype(int)
    assert restyle_surroundings(photo, drawn, 0.0) is photo.image_data
    half, whole = (restyle_surroundings(photo, drawn, share).pixels.astype(int) - before for share in (0.5, 1.0))
    assert np.abs(2 * half - whole).max() <= 2


@pytest.mark.parametrize(("side", "expected"), [(80.0, 1.0), (24.5, 0.25)])
def test_auto_is_less_where_faces_are_small(side: float, expected: float) -> None:
    photo = _photo(side)
    drawn = _gray(_crops(photo))
    auto, told = (restyle_surroundings(photo, drawn, share).pixels.astype(int) for share in ("auto", expected))
    assert np.abs(auto - told).max() <= 1


def test_alpha_and_depth_stay_and_a_gray_photo_stays_gray() -> None:
    change = torch.tensor([[0.0, 0.0, 0.0, 0.5]] * 3)
    pixels = np.arange(6 * 4 * 4, dtype=np.uint16).reshape(6, 4, 4) * 300
    result = change_colors(ImageData(pixels), change).pixels
    assert result.dtype == np.uint16
    assert np.array_equal(result[..., 3], pixels[..., 3])
    gray = change_colors(ImageData(np.full((5, 4, 1), 64, np.uint8)), change).pixels
    assert gray.shape == (5, 4, 1)
    assert gray.max() == gray.min() == 128


def test_a_large_photo_is_done_in_strips() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 10, 3), dtype=np.uint8)
    change = torch.tensor([[-0.5, 0.1, 0.0, 0.1], [0.0, -0.2, 0.0, 0.0], [0.1, 0.0, 0.3, -0.2]])
    whole = change_colors(ImageData(pixels), change).pixels
    parts = [change_colors(ImageData(part), change).pixels for part in np.array_split(pixels, 7)]
    assert np.array_equal(whole, np.concatenate(parts))
