"""Faces are found upright, turned, small, large and drawn, and only where there are some; their points are where they are."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_landmark_network, write_landmark_network
from mien.errors import CheckpointError, FaceNotFoundError, InputError
from mien.faces import AlignConfig, CropFrame, Face, choose, extract, ffhq_frame, find_faces, find_landmarks
from mien.faces.locate import locate, of_the_reference
from mien.media.images import read_image
from mien.models.landmarks import LandmarkConfig, LandmarkNetwork


def photo(shared: Path, name: str) -> Tensor:
    return read_image(shared / "data" / name).rgb()


def resized(rgb: Tensor, factor: float) -> Tensor:
    return F.interpolate(rgb[None], scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)[0].clamp(-1, 1)


def frame_error(found: CropFrame, true: CropFrame) -> tuple[float, float]:
    """Mean distance of the corners in units of the true side, and degrees."""
    distance = (found.corners() - true.corners()).norm(dim=1).mean().item() / true.side
    return distance, abs((found.angle - true.angle + 180) % 360 - 180)


# --- finding ------------------------------------------------------------------------------------------------------------


def test_photos_have_one_face_each_with_its_points_in_order(shared: Path) -> None:
    for name in ("photos/iu.webp", "photos/portrait_00.webp", "photos/portrait_05.webp", "photos-small/12.webp"):
        rgb = photo(shared, name)
        faces = find_faces(rgb)
        assert len(faces) == 1, name
        left, right, nose, mouth_left, mouth_right = faces[0].landmarks.tolist()
        assert left[0] < nose[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert left[1] < nose[1] < mouth_left[1]
        assert faces[0].turn == 0
        frame = faces[0].frame()
        assert abs(frame.angle) < 12
        left_, top, right_, bottom = faces[0].box
        assert left_ < nose[0] < right_
        assert top < nose[1] < bottom


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_images_give_upright_crops(shared: Path, turn: int) -> None:
    rgb = photo(shared, "photos/portrait_03.webp")
    upright = find_faces(rgb)[0].frame()
    turned = torch.rot90(rgb, turn, (1, 2))  # anticlockwise
    face = find_faces(turned)[0]
    assert face.turn == turn
    expected, _ = extract(rgb, upright, 96)
    got, _ = extract(turned, face.frame(), 96)
    assert (expected - got).abs().mean() < 0.06
    assert face.frame().side == pytest.approx(upright.side, rel=0.03)


@pytest.mark.parametrize("angle", [-35.0, -20.0, 20.0, 35.0])
def test_askew_faces_are_straightened(shared: Path, angle: float) -> None:
    rgb = photo(shared, "photos/portrait_08.webp")
    true = find_faces(rgb)[0].frame()
    # An image that is turned by `angle`: read the photo through a turned frame.
    canvas = CropFrame((256.0, 256.0), 640.0, -angle)
    image, _ = extract(rgb, canvas, 640)
    found = find_faces(image)[0].frame()
    expected = canvas.to_crop(640)(true.corners())
    assert ((found.corners() - expected).norm(dim=1).mean() / true.side).item() < 0.05
    assert found.angle == pytest.approx(true.angle + angle, abs=4)


def test_small_and_large_images(shared: Path) -> None:
    rgb = photo(shared, "photos/iu.webp")
    whole = find_faces(rgb)[0].frame()
    for factor in (0.2, 3.0):
        frame = find_faces(resized(rgb, factor))[0].frame()
        (x, y), side = frame.center, frame.side
        distance, angle = frame_error(CropFrame((x / factor, y / factor), side / factor, frame.angle), whole)
        assert distance < 0.05
        assert angle < 3


def test_all_faces_of_a_group_largest_first_each_once(shared: Path) -> None:
    names = ("photos/portrait_00.webp", "photos/portrait_03.webp", "photos/portrait_09.webp", "photos/portrait_05.webp")
    canvas = torch.zeros(3, 1200, 1600)
    places = ((0.5, 40, 60), (0.8, 700, 100), (0.35, 300, 800), (0.6, 1150, 700))
    true = []
    for name, (factor, x, y) in zip(names, places, strict=True):
        small = resized(photo(shared, name), factor)
        canvas[:, y : y + small.shape[1], x : x + small.shape[2]] = small
        true.append((x + small.shape[2] / 2, y + small.shape[1] / 2))
    faces = find_faces(canvas)
    assert len(faces) == 4
    assert [face.side for face in faces] == sorted((face.side for face in faces), reverse=True)
    for x, y in true:
        assert sum(math.hypot(f.frame().center[0] - x, f.frame().center[1] - y) < 60 for f in faces) == 1


def test_a_face_that_fills_the_image(shared: Path) -> None:
    rgb = photo(shared, "photos/portrait_00.webp")
    tight = rgb[:, 150:450, 110:400]
    whole, close = find_faces(rgb)[0].frame(), find_faces(tight)[0].frame()
    moved = CropFrame((close.center[0] + 110, close.center[1] + 150), close.side, close.angle)
    assert frame_error(moved, whole)[0] < 0.06


def textures() -> list[Tensor]:
    """Images without a face: noise of several sizes, stripes, a gradient."""
    rng = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(300.0), torch.arange(400.0), indexing="ij")
    images = [torch.zeros(3, 50, 50), torch.stack([torch.sin(x / 9), torch.sin(y / 7), torch.cos((x + y) / 15)])]
    for grain in (1, 8, 40):
        small = torch.randn(1, 3, 300 // grain + 2, 400 // grain + 2, generator=rng)
        images.append(F.interpolate(small, size=(300, 400), mode="bicubic", align_corners=False)[0].clamp(-1, 1))
    return images


def test_nothing_is_found_where_there_is_no_face() -> None:
    for image in textures():
        assert find_faces(image) == []


def test_nothing_is_found_in_animals_and_in_photos_without_their_faces(shared: Path) -> None:
    for path in sorted((shared / "data" / "styles-extreme").glob("*.webp")):
        assert find_faces(read_image(path).rgb()) == [], path.name
    for name in ("photos/portrait_02.webp", "photos/portrait_04.webp", "photos/portrait_09.webp"):
        clothes = photo(shared, name)[:, 430:, :]
        assert find_faces(clothes) == [], name


def test_points_are_not_found_beside_a_face(shared: Path) -> None:
    rgb = photo(shared, "photos/portrait_00.webp")
    assert find_landmarks(rgb, CropFrame((256.0, 256.0), 512.0)) is not None
    assert find_landmarks(torch.randn(3, 200, 200).clamp(-1, 1), CropFrame((100.0, 100.0), 150.0)) is None


def test_drawings_of_the_unaligned_set_are_found(shared: Path) -> None:
    for path in sorted((shared / "data" / "styles-unaligned").glob("*.webp")):
        assert len(find_faces(read_image(path).rgb())) == 1, path.name


@pytest.fixture(scope="module")
def drawing_errors(shared: Path) -> dict[str, tuple[float, float]]:
    """Corner error (of the side) and degrees of each image of styles-aligned, found again on a larger canvas, turned by 15.

    These images are FFHQ crops: their own frame must come out.
    """
    errors = {}
    for path in sorted((shared / "data" / "styles-aligned").glob("*.webp")):
        canvas, true = on_canvas(read_image(path).rgb(), 15.0)
        errors[path.stem] = frame_error(find_faces(canvas)[0].frame(), true)
    assert len(errors) == 26
    return errors


def test_crops_of_aligned_drawings_are_found_again(drawing_errors: dict[str, tuple[float, float]]) -> None:
    distances = {name: distance for name, (distance, _) in drawing_errors.items()}
    assert {name: distance for name, distance in distances.items() if distance > 0.06} == {}
    assert statistics.median(distances.values()) <= 0.03
    assert max(angle for _, angle in drawing_errors.values()) <= 6


def on_canvas(image: Tensor, angle: float) -> tuple[Tensor, CropFrame]:
    """A square image, turned by `angle`, on a canvas of 480 pixels, half as large again as itself; and its frame there."""
    size = image.shape[-1]
    canvas, _ = extract(image, CropFrame((size / 2, size / 2), size * 1.5, -angle), 480)
    return canvas, CropFrame((240.0, 240.0), 320.0, angle)


# --- choosing -----------------------------------------------------------------------------------------------------------


def face(side: float) -> Face:
    return Face((0, 0, side, side), torch.zeros(5, 2), 1.0)


def test_choose() -> None:
    faces = [face(30), face(20), face(10)]
    assert choose(faces) == [faces[0]]
    assert choose(faces, "all") == faces
    assert choose(faces, 2) == [faces[1]]
    for number in (0, 4, -1):
        with pytest.raises(InputError, match=f"no face {number}"):
            choose(faces, number)


def test_no_face_says_what_to_do() -> None:
    with pytest.raises(FaceNotFoundError) as caught:
        choose([], "all", name="me.jpg")
    for word in ("me.jpg", "`aligned`", "`box`", "`landmarks`"):
        assert word in str(caught.value)
    assert "extreme" not in str(caught.value)
    align = AlignConfig()
    with pytest.raises(FaceNotFoundError, match="`extreme`") as caught, of_the_reference(align):
        locate(torch.zeros(3, 64, 64), align)
    assert caught.value.about is align


def test_find_faces_wants_one_rgb_image() -> None:
    with pytest.raises(ValueError, match=r"\[3, H, W\]"):
        find_faces(torch.zeros(1, 3, 8, 8))


# --- the network --------------------------------------------------------------------------------------------------------


def test_landmark_network_is_small_and_answers_in_crop_units() -> None:
    network = read_landmark_network()
    assert network is read_landmark_network(), "it is read once"
    assert sum(p.numel() for p in network.parameters()) < 900_000
    size = network.config.size
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 7, 2)
    image = torch.randn(1, 3, size, size)
    assert torch.allclose(network(image), network(image * 0.5 + 0.2), atol=0.05), "brightness and contrast do not matter"


def test_landmark_network_comes_back_from_its_file(tmp_path: Path) -> None:
    network = LandmarkNetwork(LandmarkConfig(width=4, max_width=8)).eval()
    path = tmp_path / "landmarks.safetensors"
    write_landmark_network(path, network, {"name": "test"})
    again = read_landmark_network(path)
    image = torch.randn(1, 3, 64, 64)
    assert torch.allclose(again(image), network(image), atol=0.02)
    assert again.config == network.config


def test_other_files_are_not_landmark_networks(tmp_path: Path) -> None:
    from mien.checkpoint import native

    path = tmp_path / "style.safetensors"
    native.write(path, "style", {"a": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="style"):
        read_landmark_network(path)
    native.write(path, "landmarks", {"landmarks.a": torch.zeros(1)}, {"config": {}})
    with pytest.raises(CheckpointError, match="missing"):
        read_landmark_network(path)


def test_frame_of_a_face_is_that_of_its_points_unless_seen() -> None:
    points = torch.tensor([[80.0, 100.0], [120.0, 100.0], [100.0, 125.0], [85.0, 145.0], [115.0, 145.0]])
    assert Face((0, 0, 1, 1), points, 1.0).frame() == ffhq_frame(points)
    seen = CropFrame((100.0, 105.0), 150.0, 2.0)
    frame = Face((0, 0, 1, 1), points, 1.0, crop=seen).frame()
    assert min(150.0, 162.0) < frame.side < 162.0
    assert frame.angle == pytest.approx(1.4, abs=0.1)
    assert frame.center == pytest.approx((100.0, 104.75), abs=0.3)


def test_a_face_that_is_too_small_is_said_to_be_one() -> None:
    face = read_image(Path(__file__).parents[2] / "examples" / "face.png").rgb()
    small = torch.zeros(3, 300, 400)
    tiny = resized(face, 24 / face.shape[1])
    small[:, 100 : 100 + tiny.shape[1], 200 : 200 + tiny.shape[2]] = tiny
    with pytest.raises(FaceNotFoundError, match=r"only a face of about (1|2|3)\d px with its hair, .* use a larger image"):
        locate(small, AlignConfig(), name="group.jpg")
