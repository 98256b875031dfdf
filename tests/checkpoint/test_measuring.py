"""Measuring networks: reading their files, agreement with the originals, cropping of faces, distances of images."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from mien.checkpoint.face_networks import read_mobilefacenet
from mien.errors import CheckpointError
from mien.files import file_digest
from mien.losses.extractors import FeatureExtractor, efficientnet_extractor
from mien.metrics.perceptual import (
    FRAME_LANDMARKS,
    as_images,
    identity_features,
    perceptual_distance,
)
from mien.models.efficientnet_lite import EfficientNetLite
from mien.models.mobilefacenet import (
    INPUT_HEIGHT,
    INPUT_LANDMARKS,
    INPUT_SCALE,
    INPUT_WIDTH,
    MobileFaceNet,
    crop_faces,
    similarity,
)
from mien.ops import resize
from mien.ops.batches import in_batches


def _random_features() -> FeatureExtractor:
    network = EfficientNetLite(64)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = torch.randn(parameter.shape, generator=generator) * (2 / parameter[0].numel()) ** 0.5
    return efficientnet_extractor(network.eval().requires_grad_(False))


def _eval_images(shared: Path, count: int) -> Tensor:
    with zipfile.ZipFile(shared / "data" / "faces-eval-256.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".webp"))[:count]
        images = [np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


# --- MobileFaceNet ---


def test_mobilefacenet_is_the_original(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    expected = np.load(shared / "weights" / "mobilefacenet_expected.npz")
    with torch.no_grad():
        output = network(torch.from_numpy(expected["input"])).numpy()
    assert np.abs(output - expected["output"]).max() <= 1e-4 * np.abs(expected["output"]).max()


def test_identity_tells_people_apart_at_any_size(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    pixels = _eval_images(shared, 12)
    full = F.normalize(in_batches(lambda p: identity_features(network, p), pixels), dim=1)
    for size in (128, 512):
        other = F.interpolate(as_images(pixels), (size, size), mode="bicubic", antialias=True).clamp(-1, 1)
        features = F.normalize(in_batches(lambda p: identity_features(network, p), other), dim=1)
        same, different = (full * features).sum(1), (full @ features.T)[~torch.eye(12, dtype=torch.bool)]
        assert same.min() > 0.9
        assert different.abs().mean() < 0.2
    mirrored = F.normalize(in_batches(lambda p: identity_features(network, p), pixels.flip(3)), dim=1)
    assert (full * mirrored).sum(1).mean() > 0.9


def test_landmarks_undo_a_turned_image(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    images = as_images(_eval_images(shared, 4))
    theta = math.radians(25)
    matrix = torch.tensor([[math.cos(theta), -math.sin(theta), 0.0], [math.sin(theta), math.cos(theta), 0.0]])
    grid = F.affine_grid(matrix.expand(4, 2, 3), list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    # A point p of the image is seen at matrix^-1 p of the turned one (coordinates around the center).
    landmarks = ((FRAME_LANDMARKS - 0.5) @ torch.linalg.inv(matrix[:, :2]).T) + 0.5
    with torch.no_grad():
        straight = F.normalize(identity_features(network, images), dim=1)
        undone = F.normalize(identity_features(network, turned, landmarks), dim=1)
        ignored = F.normalize(identity_features(network, turned), dim=1)
    assert (straight * undone).sum(1).min() > 0.95
    assert (straight * undone).sum(1).mean() > (straight * ignored).sum(1).mean() + 0.1


def test_similarity_recovers_scale_rotation_and_shift() -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(2, 5, 2, generator=generator, dtype=torch.float64)
    angle, scale = torch.tensor([0.3, -2.0], dtype=torch.float64), torch.tensor([2.0, 0.5], dtype=torch.float64)
    a, b = scale * angle.cos(), scale * angle.sin()
    wanted = torch.stack([torch.stack([a, -b, a * 0 + 7], 1), torch.stack([b, a, a * 0 - 3], 1)], 1)
    target = torch.einsum("nij,npj->npi", wanted[:, :, :2], points) + wanted[:, None, :, 2]
    assert torch.allclose(similarity(points, target), wanted)
    # Of points that no similarity fits exactly, it leaves the least squares: any small change is worse.
    noisy = target + torch.randn(target.shape, generator=generator, dtype=torch.float64)
    best = similarity(points, noisy)

    def error(m: Tensor) -> Tensor:
        return ((torch.einsum("nij,npj->npi", m[:, :, :2], points) + m[:, None, :, 2]) - noisy).square().sum()

    for change in ([[1, 0, 0], [0, 1, 0]], [[0, -1, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 1]]):
        for sign in (1e-3, -1e-3):
            assert error(best + sign * torch.tensor(change, dtype=torch.float64)) > error(best)


@pytest.mark.parametrize(("height", "width"), [(200, 200), (60, 80), (900, 700)])
def test_crop_faces_puts_the_points_where_they_belong(height: int, width: int) -> None:
    target = torch.tensor(INPUT_LANDMARKS)
    turn = torch.tensor([[0.8, -0.4], [0.4, 0.8]])
    centered = (target - target.mean(0)) @ turn.T
    landmarks = centered / centered.abs().max() * 0.3 + 0.5
    # The similarity is meant in pixels: keep the shape of the face on oblong images.
    landmarks = (landmarks - 0.5) * min(height, width) / torch.tensor([width, height]) + 0.5
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    crop_of_x = crop_faces((x * 2 - 1).expand(1, 3, -1, -1), landmarks)
    crop_of_y = crop_faces((y * 2 - 1).expand(1, 3, -1, -1), landmarks)
    assert crop_of_x.shape == (1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    for (px, py), (lx, ly) in zip(target.tolist(), landmarks.tolist(), strict=True):
        row, column = round(py - 0.5), round(px - 0.5)
        found = [float(c[0, 0, row, column]) / INPUT_SCALE / 2 + 0.5 for c in (crop_of_x, crop_of_y)]
        # Half a pixel of the crop, in units of the image.
        assert found == pytest.approx([lx, ly], abs=0.012)


def test_mobilefacenet_refuses_other_shapes_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="112, 96"):
        MobileFaceNet()(torch.zeros(1, 3, 96, 112))
    network = MobileFaceNet()
    state = network.state_dict()
    save_file(state, tmp_path / "good.safetensors")
    assert torch.equal(read_mobilefacenet(tmp_path / "good.safetensors").conv1.conv.weight, state["conv1.conv.weight"])
    state.pop("conv1.conv.weight")
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(CheckpointError, match="1 missing"):
        read_mobilefacenet(tmp_path / "short.safetensors")
    (tmp_path / "page.safetensors").write_text("<!DOCTYPE html><title>Not found</title>")
    with pytest.raises(CheckpointError, match="safetensors"):
        read_mobilefacenet(tmp_path / "page.safetensors")
    with pytest.raises(CheckpointError):
        read_mobilefacenet(tmp_path / "absent.safetensors")


# --- feature extractors ---


def test_perceptual_distance_is_a_distance_and_differentiable() -> None:
    network = _random_features()
    generator = torch.Generator().manual_seed(2)
    a = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1, (64, 64), mode="bilinear")
    b = a.flip(2)
    assert perceptual_distance(network, a, a).abs().max() < 1e-6
    there, back = perceptual_distance(network, a, b), perceptual_distance(network, b, a)
    assert torch.allclose(there, back)
    assert there.shape == (2,)
    assert (there > 0.001).all()
    assert (perceptual_distance(network, a, 0.9 * a + 0.1 * b) < there).all()
    # Every image counts alone.
    assert torch.allclose(perceptual_distance(network, a[:1], b[:1]), there[:1], atol=1e-6)
    # A step against the gradient brings the images together.
    b = b.clone().requires_grad_(True)
    perceptual_distance(network, a, b).sum().backward()
    assert b.grad is not None
    step = 0.05 * b.grad / b.grad.abs().max()
    assert (perceptual_distance(network, a, (b - step).detach()) < there).all()


def test_vectors_are_pooled_features_of_images_of_any_size() -> None:
    extractor = _random_features()
    images = torch.rand(9, 3, 40, 50, generator=torch.Generator().manual_seed(1)) * 2 - 1
    whole = extractor.vectors(images)
    assert whole.shape == (9, 1280)
    assert torch.allclose(whole[4:6], extractor.vectors(images[4:6]), rtol=1e-4, atol=1e-5)
    pooled = extractor.maps(resize(images[:1], 64))[-1].mean((2, 3))
    assert torch.allclose(whole[:1], pooled, rtol=1e-4, atol=1e-5)


def test_functions_run_in_batches() -> None:
    seen: list[int] = []
    values = torch.arange(5.0)
    assert torch.equal(in_batches(lambda some: some * 2, values, 2, seen.append), values * 2)
    assert seen == [2, 2, 1]
    with pytest.raises(ValueError, match="batch"):
        in_batches(lambda p: p, values, 0)


def test_file_digest_follows_the_content(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 3_000_000)
    b.write_bytes(b"x" * 3_000_000)
    assert file_digest(a) == file_digest(b)
    b.write_bytes(b"x" * 2_999_999 + b"y")
    assert file_digest(a) != file_digest(b)
    assert len(file_digest(a)) == 16
