"""Measuring networks: reading their files, agreement with the originals, cropping of faces, distances of pictures."""

import io
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from mien.checkpoint.face_networks import read_mobilefacenet, read_mobilenet_v2
from mien.checkpoint.foreign.tflite import read_tflite
from mien.errors import CheckpointError
from mien.files import file_digest
from mien.metrics.perceptual import (
    FRAME_LANDMARKS,
    as_pictures,
    identity_features,
    in_batches,
    perceptual_distance,
    pooled_features,
)
from mien.models.mobilefacenet import (
    INPUT_HEIGHT,
    INPUT_LANDMARKS,
    INPUT_SCALE,
    INPUT_WIDTH,
    MobileFaceNet,
    crop_faces,
    similarity,
)
from mien.models.mobilenet_v2 import MobileNetV2, convolutions


def _random_mobilenet() -> MobileNetV2:
    network = MobileNetV2()
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 100
        parameter.data = torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5
    return network.eval().requires_grad_(False)


def _eval_pictures(shared: Path, count: int) -> Tensor:
    with zipfile.ZipFile(shared / "data" / "faces-eval-256.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".webp"))[:count]
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


# --- MobileFaceNet ---


def test_mobilefacenet_is_the_original(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    expected = np.load(shared / "weights" / "mobilefacenet_expected.npz")
    with torch.no_grad():
        output = network(torch.from_numpy(expected["input"])).numpy()
    assert np.abs(output - expected["output"]).max() <= 1e-4 * np.abs(expected["output"]).max()


def test_identity_tells_people_apart_at_any_size(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    pixels = _eval_pictures(shared, 12)
    full = F.normalize(in_batches(lambda p: identity_features(network, p), pixels), dim=1)
    for size in (128, 512):
        other = F.interpolate(as_pictures(pixels), (size, size), mode="bicubic", antialias=True).clamp(-1, 1)
        features = F.normalize(in_batches(lambda p: identity_features(network, p), other), dim=1)
        same, different = (full * features).sum(1), (full @ features.T)[~torch.eye(12, dtype=torch.bool)]
        assert same.min() > 0.9
        assert different.abs().mean() < 0.2
    mirrored = F.normalize(in_batches(lambda p: identity_features(network, p), pixels.flip(3)), dim=1)
    assert (full * mirrored).sum(1).mean() > 0.9


def test_landmarks_undo_a_turned_picture(shared: Path) -> None:
    network = read_mobilefacenet(shared / "weights" / "mobilefacenet.safetensors")
    pictures = as_pictures(_eval_pictures(shared, 4))
    theta = math.radians(25)
    matrix = torch.tensor([[math.cos(theta), -math.sin(theta), 0.0], [math.sin(theta), math.cos(theta), 0.0]])
    grid = F.affine_grid(matrix.expand(4, 2, 3), list(pictures.shape), align_corners=False)
    turned = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    # A point p of the picture is seen at matrix^-1 p of the turned one (coordinates around the centre).
    landmarks = ((FRAME_LANDMARKS - 0.5) @ torch.linalg.inv(matrix[:, :2]).T) + 0.5
    with torch.no_grad():
        straight = F.normalize(identity_features(network, pictures), dim=1)
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
    centred = (target - target.mean(0)) @ turn.T
    landmarks = centred / centred.abs().max() * 0.3 + 0.5
    # The similarity is meant in pixels: keep the shape of the face on oblong pictures.
    landmarks = (landmarks - 0.5) * min(height, width) / torch.tensor([width, height]) + 0.5
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    crop_of_x = crop_faces((x * 2 - 1).expand(1, 3, -1, -1), landmarks)
    crop_of_y = crop_faces((y * 2 - 1).expand(1, 3, -1, -1), landmarks)
    assert crop_of_x.shape == (1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    for (px, py), (lx, ly) in zip(target.tolist(), landmarks.tolist(), strict=True):
        row, column = round(py - 0.5), round(px - 0.5)
        found = [float(c[0, 0, row, column]) / INPUT_SCALE / 2 + 0.5 for c in (crop_of_x, crop_of_y)]
        # Half a pixel of the crop, in units of the picture.
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


# --- MobileNetV2 ---


def test_mobilenet_agrees_with_openvino(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # OpenVINO tells its maker of every import unless this package is missing.
    monkeypatch.setitem(__import__("sys").modules, "openvino_telemetry", None)
    openvino = pytest.importorskip("openvino")
    path = shared / "weights" / "mobilenet_v2_imagenet_int8.tflite"
    graph = openvino.Core().read_model(path)
    operators = graph.get_ordered_ops()
    pooled = next(op for op in operators if op.get_type_name() == "ReduceMean")
    for op in operators:
        # Rounding of activations has equal ranges on both sides; the others map bytes to the network's units.
        if op.get_type_name() == "FakeQuantize":
            ranges = [op.input_value(i).get_node().data for i in (1, 2, 3, 4)]
            if np.allclose(ranges[0], ranges[2]) and np.allclose(ranges[1], ranges[3]):
                op.output(0).replace(op.input_value(0))
    model = openvino.Model([pooled.output(0)], graph.get_parameters())
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixels = F.interpolate(_eval_pictures(shared, 1).float(), (224, 224), mode="area").round()
    expected = torch.from_numpy(compiled(pixels.permute(0, 2, 3, 1).to(torch.uint8).numpy())[0].reshape(1, -1))
    network = read_mobilenet_v2(path)
    # The file's own scale of the input is 2/255 with zero at byte 127.
    found = network((pixels - 127) * (2 / 255))
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_mobilenet_layers_and_sizes() -> None:
    network = _random_mobilenet()
    assert len(convolutions(network)) == 52
    maps = network.maps(torch.zeros(2, 3, 64, 64))
    assert [list(m.shape) for m in maps] == [[2, 16, 32, 32], [2, 24, 16, 16], [2, 32, 8, 8], [2, 96, 4, 4], [2, 1280, 2, 2]]
    assert network(torch.zeros(2, 3, 75, 50)).shape == (2, 1280)


def test_strided_convolutions_pad_as_tensorflow_does() -> None:
    network = _random_mobilenet()
    picture = torch.randn(1, 3, 6, 7)
    made = network.stem(picture)
    weight, bias = network.stem.weight.double().numpy(), network.stem.bias.double().numpy()
    x = picture[0].double().numpy()
    assert made.shape == (1, 32, 3, 4)
    for row in range(3):
        for column in range(4):
            total = bias.copy()
            for i in range(3):
                for j in range(3):
                    # Even sides get one pixel below and right, odd sides one on each side.
                    r, c = 2 * row + i, 2 * column + j - 1
                    if 0 <= r < 6 and 0 <= c < 7:
                        total += weight[:, :, i, j] @ x[:, r, c]
            assert made[0, :, row, column].numpy() == pytest.approx(np.clip(total, 0, 6), abs=1e-5)


def test_perceptual_distance_is_a_distance_and_differentiable() -> None:
    network = _random_mobilenet()
    generator = torch.Generator().manual_seed(2)
    a = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1, (64, 64), mode="bilinear")
    b = a.flip(2)
    assert perceptual_distance(network, a, a).abs().max() < 1e-6
    there, back = perceptual_distance(network, a, b), perceptual_distance(network, b, a)
    assert torch.allclose(there, back)
    assert there.shape == (2,)
    assert (there > 0.001).all()
    assert (perceptual_distance(network, a, 0.9 * a + 0.1 * b) < there).all()
    # Every picture counts alone.
    assert torch.allclose(perceptual_distance(network, a[:1], b[:1]), there[:1], atol=1e-6)
    # A step against the gradient brings the pictures together.
    b = b.clone().requires_grad_(True)
    perceptual_distance(network, a, b).sum().backward()
    assert b.grad is not None
    step = 0.05 * b.grad / b.grad.abs().max()
    assert (perceptual_distance(network, a, (b - step).detach()) < there).all()


def test_features_take_bytes_and_floats_of_any_size_in_batches() -> None:
    network = _random_mobilenet()
    pixels = torch.randint(0, 256, (5, 3, 40, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    whole = pooled_features(network, pixels)
    assert whole.shape == (5, 1280)
    assert torch.allclose(whole, pooled_features(network, pixels.float() / 127.5 - 1))
    seen: list[int] = []
    batched = in_batches(lambda p: pooled_features(network, p), pixels, 2, seen.append)
    assert torch.allclose(whole, batched, rtol=1e-4, atol=1e-5)
    assert seen == [2, 2, 1]
    with pytest.raises(ValueError, match="batch"):
        in_batches(lambda p: p, pixels, 0)


# --- TensorFlow Lite files ---


class _Builder:
    """Writes FlatBuffers front to back: children are appended later and their offsets patched in."""

    def __init__(self) -> None:
        self.data = bytearray(8)

    def pad(self, to: int) -> None:
        self.data += bytes(-len(self.data) % to)

    def table(self, fields: dict[int, tuple[str, float]], links: dict[int, object]) -> int:
        """Scalars by field number, and children (callables that append themselves and return their place)."""
        count = max([*fields, *links, -1]) + 1
        self.pad(8)
        vtable, body = len(self.data), 4 + 8 * count
        self.data += struct.pack("<HH", 4 + 2 * count, body)
        self.data += b"".join(struct.pack("<H", 4 + 8 * i if i in fields or i in links else 0) for i in range(count))
        self.pad(8)
        at = len(self.data)
        self.data += struct.pack("<i", at - vtable) + bytes(8 * count)
        for field, (kind, value) in fields.items():
            struct.pack_into(kind, self.data, at + 4 + 8 * field, value)
        for field, child in links.items():
            self._link(at + 4 + 8 * field, child)
        return at

    def _link(self, slot: int, child: object) -> None:
        place = child()  # type: ignore[operator]
        struct.pack_into("<I", self.data, slot, place - slot)

    def vector(self, values: np.ndarray) -> int:
        self.pad(8)
        self.data += bytes(4)  # so that the values are aligned to 8
        at = len(self.data)
        self.data += struct.pack("<I", values.size) + values.tobytes()
        return at

    def tables(self, children: list[object]) -> int:
        self.pad(4)
        at = len(self.data)
        self.data += struct.pack("<I", len(children)) + bytes(4 * len(children))
        for i, child in enumerate(children):
            self._link(at + 4 + 4 * i, child)
        return at


def _tflite(weight: np.ndarray, quantisation: tuple[list[float], list[int], int] | None) -> bytes:
    """A file with one depthwise convolution of that weight and an activation as its first input."""
    b = _Builder()

    def tensor(shape: list[int], kind: int, buffer: int, quantised: bool) -> object:
        links: dict[int, object] = {0: lambda: b.vector(np.asarray(shape, "<i4"))}
        if quantised and quantisation is not None:
            scale, zero, axis = quantisation
            parts: dict[int, object] = {
                2: lambda: b.vector(np.asarray(scale, "<f4")),
                3: lambda: b.vector(np.asarray(zero, "<i8")),
            }
            links[4] = lambda: b.table({6: ("<i", axis)}, parts)
        return lambda: b.table({1: ("<b", kind), 2: ("<I", buffer)}, links)

    kind = {"int8": 9, "uint8": 3, "float32": 0}[str(weight.dtype)]
    tensors = [tensor([1, 4, 4, 2], 0, 0, False), tensor(list(weight.shape), kind, 1, True)]
    operator = {1: lambda: b.vector(np.asarray([0, 1, -1], "<i4"))}
    graph = {0: lambda: b.tables(tensors), 3: lambda: b.tables([lambda: b.table({0: ("<I", 0)}, dict(operator))])}  # type: ignore[arg-type]
    buffers: list[object] = [
        lambda: b.table({}, {}), lambda: b.table({}, {0: lambda: b.vector(np.frombuffer(weight.tobytes(), "u1"))}),
    ]  # fmt: skip
    root = b.table(
        {0: ("<I", 3)},
        {1: lambda: b.tables([lambda: b.table({0: ("<b", 4), 3: ("<i", 4)}, {})]),
         2: lambda: b.tables([lambda: b.table({}, graph)]), 4: lambda: b.tables(buffers)},
    )  # fmt: skip
    struct.pack_into("<I4s", b.data, 0, root, b"TFL3")
    return bytes(b.data)


def test_tflite_constants_are_dequantised(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    weight = np.arange(-4, 4, dtype=np.int8).reshape(1, 2, 2, 2)
    path.write_bytes(_tflite(weight, None))
    (operator,) = read_tflite(path)
    assert operator.kind == "DEPTHWISE_CONV_2D"
    assert [c.numpy().tolist() for c in operator.constants] == [weight.astype(np.float32).tolist()]

    path.write_bytes(_tflite(weight, ([0.5], [3], 0)))
    assert read_tflite(path)[0].constants[0].numpy().tolist() == ((weight.astype(np.float64) - 3) * 0.5).tolist()

    path.write_bytes(_tflite(weight, ([0.5, 2.0], [0, 1], 3)))
    expected = (weight - np.array([0, 1])) * np.array([0.5, 2.0])
    assert read_tflite(path)[0].constants[0].numpy().tolist() == expected.tolist()

    floats = np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 2, 2, 2)
    path.write_bytes(_tflite(floats, None))
    assert read_tflite(path)[0].constants[0].numpy().tolist() == floats.tolist()


def test_other_networks_and_broken_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    good = _tflite(np.zeros((1, 2, 2, 2), np.uint8), ([0.5], [3], 0))
    path.write_bytes(good)
    with pytest.raises(CheckpointError, match="no MobileNetV2"):
        read_mobilenet_v2(path)
    path.write_bytes(b"<!DOCTYPE html><title>404</title>")
    with pytest.raises(CheckpointError, match="not a TensorFlow Lite file"):
        read_tflite(path)
    with pytest.raises(CheckpointError, match="There is no file"):
        read_tflite(tmp_path / "absent.tflite")
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(400):
        data = bytearray(good)
        if trial % 2:
            del data[int(generator.integers(8, len(good))) :]
        else:
            for at in generator.integers(8, len(good), 4):
                data[at] = int(generator.integers(256))
        path.write_bytes(bytes(data))
        try:
            read_tflite(path)
        except CheckpointError:
            refused += 1
    assert refused > 200


def test_a_cut_off_network_is_refused(shared: Path, tmp_path: Path) -> None:
    data = (shared / "weights" / "mobilenet_v2_imagenet_int8.tflite").read_bytes()
    path = tmp_path / "net.tflite"
    for share in (0.001, 0.3, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(CheckpointError, match="damaged or cut off"):
            read_mobilenet_v2(path)


def test_file_digest_follows_the_content(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 3_000_000)
    b.write_bytes(b"x" * 3_000_000)
    assert file_digest(a) == file_digest(b)
    b.write_bytes(b"x" * 2_999_999 + b"y")
    assert file_digest(a) != file_digest(b)
    assert len(file_digest(a)) == 16
