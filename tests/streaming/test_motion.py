"""Registration finds known motions; crops and pasting agree with the careful ones; cuts are cuts."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.faces.align import CropFrame, extract
from mien.faces.paste import paste_back
from mien.faces.warp import blur
from mien.media.image_data import ImageData
from mien.media.image_input import as_image
from mien.streaming.cuts import SceneCuts
from mien.streaming.motion import Motion, Template
from mien.streaming.quick_crop import fading_edges, quick_crops, quick_paste

FACE = Path(__file__).parents[2] / "examples" / "face.png"


def texture(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    soft = blur(torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed)), 3.0)
    return ((soft / soft.abs().max() + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def patch(frame: np.ndarray, square: CropFrame) -> torch.Tensor:
    return quick_crops(frame, [square], 64)[0].mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("right", "down", "factor", "turn"), [(0.03, -0.02, 1.0, 0.0), (0.0, 0.01, 1.05, 0.0), (0.01, 0, 0.97, 4.0)]
)
def test_a_known_motion_is_found(right: float, down: float, factor: float, turn: float) -> None:
    frame, start = texture(), CropFrame((160.0, 120.0), 150.0, 5.0)
    wanted = Motion(right, down, factor, turn)
    found = Template(patch(frame, start)).motion_to(patch(frame, CropFrame(start.center, start.side, start.angle)))
    assert found is not None
    assert found[0].right == pytest.approx(0, abs=1e-5)
    # The face is where `wanted` says when the frame is looked at from where it is not.
    looked_at = CropFrame((160.0, 120.0), 150.0, 5.0)
    moved = wanted.of(looked_at)
    found = Template(patch(frame, moved)).motion_to(patch(frame, looked_at))
    assert found is not None
    motion, likeness = found
    square = motion.of(looked_at)
    assert math.dist(square.center, moved.center) < 0.1
    assert square.side == pytest.approx(moved.side, rel=2e-3)
    assert square.angle == pytest.approx(moved.angle, abs=0.1)
    assert likeness > 0.98


def test_another_image_is_not_the_same_face() -> None:
    square = CropFrame((160.0, 120.0), 150.0)
    assert Template(patch(texture(), square)).motion_to(patch(texture(seed=1), square)) is None


def test_brightness_and_contrast_move_nothing() -> None:
    frame, square = texture(), CropFrame((160.0, 120.0), 150.0)
    found = Template(patch(frame, square)).motion_to(patch(frame, square) * 0.7 - 0.2)
    assert found is not None
    assert abs(found[0].right) + abs(found[0].down) < 1e-3


@pytest.mark.parametrize("side", [60.0, 130.0, 500.0])
def test_quick_crops_show_what_careful_ones_show(side: float) -> None:
    rgb = as_image(FACE).rgb()
    square = CropFrame((rgb.shape[2] / 2, rgb.shape[1] / 2), side, 7.0)
    frame = np.asarray(Image.open(FACE).convert("RGB"))
    careful, quick = extract(rgb, square, 64)[0], quick_crops(frame, [square], 64)[0]
    assert float((careful - quick).abs().mean()) < 0.03


def test_a_crop_outside_the_frame_is_still_a_image() -> None:
    crops = quick_crops(texture(20, 30), [CropFrame((-40.0, 90.0), 20.0), CropFrame((3.0, 3.0), 60.0, 30.0)], 32)
    assert crops.shape == (2, 3, 32, 32)
    assert bool(crops.isfinite().all())


def test_quick_pasting_is_what_careful_pasting_is() -> None:
    frame, square = texture(), CropFrame((150.0, 110.0), 120.0, 9.0)
    face = blur(torch.randn(3, 64, 64), 2.0).mul(3).clamp(-1, 1)
    place = torch.linspace(-1, 1, 64)
    mask = torch.sigmoid((0.6 - (place[None] ** 2 + place[:, None] ** 2).sqrt()) * 20)[None]
    mask = mask * (mask > 0.01)
    wanted = paste_back(ImageData(frame), square, face, mask, match_colors=False, faithful=False).pixels
    drawn = frame.copy()
    mask = fading_edges(mask, square, 320, 240)
    quick_paste(drawn, square, face * mask, mask)
    assert np.abs(drawn.astype(int) - wanted.astype(int)).mean() < 0.5
    far = np.hypot(np.arange(320) - 150, (np.arange(240) - 110)[:, None]) > 60
    assert np.array_equal(drawn[far], frame[far])
    quick_paste(drawn, square, torch.zeros(3, 64, 64), torch.zeros(1, 64, 64))  # nothing, and no error


def test_masks_fade_where_the_frame_goes_on_alone() -> None:
    mask = torch.ones(1, 64, 64)
    inside = fading_edges(mask, CropFrame((100.0, 100.0), 80.0), 200, 200)
    assert float(inside[0, 0].max()) < 0.1
    assert float(inside[0, 32, 32]) == 1
    below = fading_edges(mask, CropFrame((100.0, 160.0), 80.0), 200, 200)
    assert float(below[0, -1, 32]) == 1
    assert float(below[0, 0].max()) < 0.1


def test_cuts_are_other_images_and_motion_is_none() -> None:
    one, other = texture(), 255 - texture(seed=5) // 2
    noisy = (one.astype(int) + np.random.default_rng(0).integers(-8, 9, one.shape)).clip(0, 255).astype(np.uint8)
    is_cut = SceneCuts()
    told = [is_cut(frame) for frame in (one, noisy, np.roll(one, 12, axis=1), (one * 0.9).astype(np.uint8), other, other)]
    assert told == [False, False, False, False, True, False]
