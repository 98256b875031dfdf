"""Gaze and mouth of aligned faces: drawn ones whose irises and mouths move by known amounts, and photos."""

from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mien.faces.expression import Expression, expression_distance, measure_expression
from mien.media.images import read_image
from toys import face, to_tensor


def photos(shared: Path, side: int, count: int = 24) -> Tensor:
    """Photos of different people in the FFHQ frame, [count, 3, side, side]."""
    with ZipFile(shared / "data" / "faces-eval-256.zip") as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")][:count]
        crops = [to_tensor(Image.open(archive.open(name)).convert("RGB")) for name in names]
    return F.interpolate(torch.stack(crops), (side, side), mode="bilinear", antialias=True, align_corners=False)


@pytest.mark.parametrize("side", [64, 128, 256])
@pytest.mark.parametrize("axis", [0, 1])
def test_gaze_follows_the_irises(side: int, axis: int) -> None:
    shifts = [-0.08, -0.04, 0.0, 0.04, 0.08] if axis == 0 else [-0.04, 0.0, 0.04]
    gaze = measure_expression(torch.stack([face((s, 0.0) if axis == 0 else (0.0, s), side=side) for s in shifts])).gaze
    moved = gaze[:, axis].diff()
    assert bool((moved > 0.005).all()), gaze
    assert float(gaze[-1, axis] - gaze[0, axis]) > 0.4 * (shifts[-1] - shifts[0])
    assert float(gaze[:, 1 - axis].diff().abs().max()) < float(moved.min())


@pytest.mark.parametrize("iris", ["#101010", "#6080a0", "#705030"])
def test_the_color_of_the_eyes_does_not_matter(iris: str) -> None:
    left, right = measure_expression(torch.stack([face((x, 0.0), iris=iris) for x in (-0.06, 0.06)])).gaze[:, 0].tolist()
    assert left < -0.02 < 0.02 < right


@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_mouth_is_followed_as_it_opens_widens_and_smiles(side: int) -> None:
    def measured(index: int, faces: list[Tensor]) -> Tensor:
        return measure_expression(torch.stack(faces)).mouth[:, index]

    assert bool((measured(0, [face(wide=w, side=side) for w in (0.6, 0.8, 1.0)]).diff() > 0.01).all())
    assert bool((measured(1, [face(opened=h, side=side) for h in (0.0, 0.1, 0.2, 0.3)]).diff() > 0.01).all())
    assert bool((measured(2, [face(smile=s, side=side) for s in (-0.1, 0.0, 0.1)]).diff() > 0.01).all())


def test_each_image_is_measured_alone_and_again_the_same() -> None:
    crops = torch.stack([face((0.05, 0.0)), face(opened=0.2)])
    both, one = measure_expression(crops), measure_expression(crops[1:])
    torch.testing.assert_close(both.gaze[1:], one.gaze, atol=1e-5, rtol=0)
    torch.testing.assert_close(both.mouth[1:], one.mouth, atol=1e-5, rtol=0)


def test_distance_is_euclidean_and_none_to_itself() -> None:
    one = Expression(torch.tensor([[0.0, 0.0], [0.3, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]] * 2))
    other = Expression(torch.tensor([[0.0, 0.0], [0.0, 0.4]]), torch.tensor([[1.0, 0.0, 0.2]] * 2))
    distance = expression_distance(one, other)
    torch.testing.assert_close(distance.gaze, torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(distance.mouth, torch.tensor([0.2, 0.2]))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 64, 65), (1, 1, 64, 64), (1, 3, 63, 63)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        measure_expression(torch.zeros(shape))


@pytest.mark.parametrize("side", [64, 128])
def test_a_mirrored_photo_looks_the_other_way(shared: Path, side: int) -> None:
    crops = photos(shared, side)
    seen, mirrored = measure_expression(crops), measure_expression(crops.flip(3))
    assert float((seen.gaze[:, 0] + mirrored.gaze[:, 0]).abs().max()) < 0.005
    assert float((seen.gaze[:, 1] - mirrored.gaze[:, 1]).abs().max()) < 0.005
    assert float((seen.mouth - mirrored.mouth).abs().max()) < 0.005


@pytest.mark.parametrize("side", [64, 128])
def test_blur_and_a_moved_crop_matter_less_than_the_person(shared: Path, side: int) -> None:
    crops = photos(shared, side)
    seen = measure_expression(crops)
    others = expression_distance(seen, Expression(seen.gaze.roll(1, 0), seen.mouth.roll(1, 0)))
    turn = torch.tensor([[1.02, 0.03, 0.02], [-0.03, 1.02, -0.01]]).expand(len(crops), 2, 3)
    grid = F.affine_grid(turn, list(crops.shape), align_corners=False)
    moved = F.grid_sample(crops, grid, mode="bicubic", padding_mode="border", align_corners=False)
    for changed in (moved, F.avg_pool2d(crops, 3, 1, 1, count_include_pad=False), 0.8 * crops + 0.1):
        distance = expression_distance(seen, measure_expression(changed))
        assert float(distance.gaze.mean()) < 0.55 * float(others.gaze.mean())
        assert float(distance.mouth.mean()) < 0.4 * float(others.mouth.mean())


def test_drawings_are_measured_as_one_sees_them(shared: Path) -> None:
    folder = shared / "data" / "styles-aligned"
    crops = [read_image(folder / f"{name}.webp").rgb() for name in ("mtg_joker", "mtg_sketch", "mtg_doc_brown", "mtg_moana")]
    sides = [F.interpolate(crop[None], (128, 128), mode="bilinear", antialias=True)[0] for crop in crops]
    found = measure_expression(torch.stack(sides))
    left, straight = found.gaze[:2, 0].tolist()
    assert left < straight - 0.05
    closed, laughing = found.mouth[2:, 1].tolist()
    assert laughing > closed + 0.03
