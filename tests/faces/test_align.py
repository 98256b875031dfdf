"""The FFHQ crop as one affine, reading it from a photo, landmarks by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import InputError
from mien.faces.align import CropFrame, extract, ffhq_frame, five_of_68, frame_from_box, parse_landmarks, whole_frame
from mien.faces.warp import Affine, blur, warp

FACE = torch.tensor([[80.0, 100.0], [120.0, 100.0], [100.0, 125.0], [85.0, 145.0], [115.0, 145.0]])


def waves(height: int, width: int) -> torch.Tensor:
    """A smooth image [3, H, W]."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([torch.sin(x / 7 + y / 11), torch.cos(x / 9 - y / 8), torch.sin(y / 6)]) * 0.8


def test_ffhq_frame_by_hand() -> None:
    frame = ffhq_frame(FACE)
    # Eyes 40 apart, mouth 45 below: half side max(80, 81); center a tenth of the way down.
    assert frame.side == pytest.approx(162.0)
    assert frame.center == pytest.approx((100.0, 104.5))
    assert frame.angle == pytest.approx(0.0)


def test_ffhq_frame_with_wide_eyes_takes_the_eye_distance() -> None:
    wide = FACE.clone()
    wide[0, 0], wide[1, 0] = 60.0, 140.0
    assert ffhq_frame(wide).side == pytest.approx(4 * 80.0)


def test_axis_is_between_eyes_and_mouth() -> None:
    skewed = FACE.clone()
    skewed[:2, 1] += torch.tensor([-5.0, 5.0])  # only the eyes are turned
    eyes_angle = math.degrees(math.atan2(10, 40))
    assert 0 < ffhq_frame(skewed).angle < eyes_angle


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(-180, 180), scale=st.floats(0.2, 8.0), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_frame_moves_with_the_face(angle: float, scale: float, x: float, y: float) -> None:
    a = math.radians(angle)
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64)
    moved = FACE.double() @ turn.T * scale + torch.tensor([x, y], dtype=torch.float64)
    before, after = ffhq_frame(FACE), ffhq_frame(moved)
    assert after.side == pytest.approx(before.side * scale, rel=1e-6)
    expected = before.corners() @ turn.T * scale + torch.tensor([x, y], dtype=torch.float64)
    assert torch.allclose(after.corners(), expected, atol=1e-5 * after.side)


def test_degenerate_landmarks_are_refused() -> None:
    with pytest.raises(InputError, match="one place"):
        ffhq_frame(torch.ones(5, 2))
    with pytest.raises(InputError, match="finite"):
        ffhq_frame(FACE * float("nan"))
    with pytest.raises(ValueError, match=r"\[5, 2\]"):
        ffhq_frame(torch.ones(4, 2))


def test_to_photo_and_to_crop_are_inverse() -> None:
    frame = CropFrame((31.5, 70.25), 48.0, 33.0)
    points = torch.rand(20, 2, dtype=torch.float64) * 64
    assert torch.allclose(frame.to_crop(64)(frame.to_photo(64)(points)), points, atol=1e-9)
    assert frame.to_photo(64).scale == pytest.approx(48 / 64)
    corners = frame.corners()
    assert torch.allclose(corners.mean(dim=0), torch.tensor([31.5, 70.25], dtype=torch.float64))
    assert (corners[1] - corners[0]).norm().item() == pytest.approx(48.0)
    assert frame.scaled(2.0).side == 96.0


def test_box_and_whole_frame() -> None:
    image = waves(60, 80)
    crop, valid = extract(image, frame_from_box(10, 20, 32), 32)
    assert torch.allclose(crop, image[:, 20:52, 10:42], atol=0.01)
    assert valid.min() == 1
    whole, _ = extract(image, whole_frame(80, 60), 60)
    assert torch.allclose(whole, image[:, :, 10:70], atol=0.01)
    for box in ((0, 0, 0.5), (math.nan, 0, 10), (0, 0, math.inf)):
        with pytest.raises(InputError, match="not a square"):
            frame_from_box(*box)


def test_extract_of_the_whole_is_the_image() -> None:
    image = waves(64, 64)
    crop, valid = extract(image, whole_frame(64, 64), 64)
    assert (crop - image).abs().max() < 0.01
    assert valid.min() == 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_extract_at_quarter_turns_is_a_turned_image(turns: int) -> None:
    image = waves(48, 48)
    crop, _ = extract(image, CropFrame((24, 24), 48, 90.0 * turns), 48)
    # A frame turned clockwise sees the image turned anticlockwise.
    assert torch.allclose(crop, torch.rot90(image, turns, (1, 2)), atol=0.01)


def test_strong_reduction_does_not_alias() -> None:
    stripes = torch.ones(3, 1024, 1024)
    stripes[:, :, ::2] = -1.0
    for angle in (0.0, 10.0):
        crop, _ = extract(stripes, CropFrame((512, 512), 700, angle), 64)
        assert crop.abs().max() < 0.02, "single-pixel stripes average to gray"
    # What is coarse enough to survive, survives.
    coarse = torch.ones(3, 1024, 1024)
    coarse[:, :, :512] = -1.0
    crop, _ = extract(coarse, CropFrame((512, 512), 700), 64)
    assert crop[:, :, 30].max() < -0.8
    assert crop[:, :, 34].min() > 0.8


def test_enlarging_is_smooth() -> None:
    image = waves(64, 64)
    crop, _ = extract(image, CropFrame((32, 32), 32), 256)
    y, x = torch.meshgrid((torch.arange(256) + 0.5) / 8 + 16, (torch.arange(256) + 0.5) / 8 + 16, indexing="ij")
    exact = torch.stack([torch.sin(x / 7 + y / 11), torch.cos(x / 9 - y / 8), torch.sin(y / 6)]) * 0.8
    assert (crop - exact).abs().max() < 0.01


def test_valid_tells_what_lies_inside_and_the_rest_fades() -> None:
    image = waves(100, 100)
    frame = CropFrame((0.0, 50.0), 200.0)  # its left half is outside, as are a quarter above and below
    crop, valid = extract(image, frame, 100)
    assert valid[0, 50, 60] == 1
    assert valid[0, 50, 40] == 0
    assert valid.mean().item() == pytest.approx(0.25, abs=0.01)
    inside = warp(image, frame.to_photo(100), 100, 100).clamp(-1, 1)
    assert torch.equal(crop[:, valid[0] == 1], inside[:, valid[0] == 1]), "the image's own pixels are untouched"
    far = crop[:, 50, 0]
    assert torch.allclose(far, crop[:, 40, 0], atol=1e-6), "far outside there is one color"
    assert crop.isfinite().all()


def test_extract_far_outside_is_one_color_and_finite() -> None:
    crop, valid = extract(waves(20, 20), CropFrame((500.0, -300.0), 40.0), 16)
    assert valid.max() == 0
    assert crop.isfinite().all()
    assert crop.flatten(1).std(dim=1).max() < 1e-4


def test_extract_of_a_one_pixel_image() -> None:
    crop, valid = extract(torch.full((3, 1, 1), 0.5), whole_frame(1, 1), 16)
    assert torch.allclose(crop, torch.full_like(crop, 0.5))
    assert valid.min() == 1


def test_warp_and_back_is_the_image() -> None:
    image = waves(120, 120)
    frame = CropFrame((60.3, 59.8), 90.0, 17.0)
    crop = warp(image, frame.to_photo(90), 90, 90)
    back = warp(crop, frame.to_crop(90), 120, 120)
    middle = (slice(None), slice(40, 80), slice(40, 80))
    assert (back[middle] - image[middle]).abs().max() < 0.01


def test_affine_inverse() -> None:
    affine = Affine(0.8, -0.3, 5.0, 0.4, 1.1, -2.0)
    points = torch.randn(10, 2, dtype=torch.float64)
    assert torch.allclose(affine.inverse()(affine(points)), points)


def test_blur_keeps_the_mean_of_a_flat_image() -> None:
    assert torch.allclose(blur(torch.full((2, 9, 9), 0.3), 2.0), torch.full((2, 9, 9), 0.3), atol=1e-6)
    spot = torch.zeros(1, 41, 41)
    spot[0, 20, 20] = 1.0
    spread = blur(spot, 3.0)[0].sum(dim=0)
    variance = (spread * (torch.arange(41) - 20.0) ** 2).sum()
    assert variance.item() == pytest.approx(9.0, rel=0.05)


# --- landmarks by hand --------------------------------------------------------------------------------------------------


def sixty_eight() -> torch.Tensor:
    return torch.arange(136, dtype=torch.float64).reshape(68, 2) + 0.25


def test_five_points_by_hand() -> None:
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.5, 6.0], [7.0, 8.0], [9.0, -1.0]], dtype=torch.float64)
    assert torch.equal(parse_landmarks("1,2 3,4 5.5,6 7,8 9,-1"), expected)
    assert torch.equal(parse_landmarks("1, 2; 3, 4; 5.5, 6; 7, 8; 9, -1"), expected)


@pytest.mark.parametrize("kind", ["lines", "pts", "json pairs", "json flat", "json named", "json x y"])
def test_files_of_68_points(tmp_path: Path, kind: str) -> None:
    points = sixty_eight()
    pairs = points.tolist()
    lines = "\n".join(f"{x} {y}" for x, y in pairs)
    content = {
        "lines": lines,
        "pts": f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n",
        "json pairs": json.dumps(pairs),
        "json flat": json.dumps([number for pair in pairs for number in pair]),
        "json named": json.dumps({"landmarks": pairs}),
        "json x y": json.dumps({"points": [{"x": x, "y": y} for x, y in pairs]}),
    }[kind]
    path = tmp_path / "points.txt"
    path.write_text(content)
    five = parse_landmarks(str(path))
    assert torch.equal(five, five_of_68(points))
    assert torch.equal(five[2], points[30])
    assert torch.equal(five[0], points[36:42].mean(dim=0))


def test_file_of_five_points(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_text(json.dumps(FACE.tolist()))
    assert torch.equal(parse_landmarks(str(path)), FACE.double())


@pytest.mark.parametrize("text", ["1,2 3,4", "", "no-such-file.txt", "1,2 3,4 5,6 7,8 9,inf", "1,2 3,4 5,6 7,8 9,--1"])
def test_wrong_landmarks_give_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_landmarks(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', '["a", "b"]', "one two three", "\x00\xff" * 5, "[[[[" * 30000])
def test_wrong_landmark_files_give_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "points.txt"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError):
        parse_landmarks(str(path))
