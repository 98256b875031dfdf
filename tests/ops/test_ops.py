"""The formulas: naive float64 loops define them, both twins must agree, gradients are checked twice."""

import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mien.ops import (
    FirMethod,
    bias_act,
    downsample2,
    fir,
    fir_methods,
    modulated_conv,
    modulated_conv2d,
    resample,
    upsample2,
    use_fir,
    use_ops,
)
from mien.ops.implementation import current_fir

TAPS = [1 / 8, 3 / 8, 3 / 8, 1 / 8]


def naive_resample(x: Tensor, up: int, down: int, before: int, after: int, gain: float) -> Tensor:
    """Zero insertion, padding, filtering, decimation: one pixel at a time."""
    h, w = x.shape
    big = torch.zeros(h * up + before + after, w * up + before + after, dtype=torch.float64)
    for i in range(h):
        for j in range(w):
            big[before + i * up, before + j * up] = x[i, j]
    rows, columns = (big.shape[0] - 4) // down + 1, (big.shape[1] - 4) // down + 1
    out = torch.zeros(rows, columns, dtype=torch.float64)
    for i in range(rows):
        for j in range(columns):
            for a in range(4):
                for b in range(4):
                    out[i, j] += gain * TAPS[a] * TAPS[b] * big[i * down + a, j * down + b]
    return out


RESAMPLERS = {
    "fir1": (lambda x: fir(x, 1, gain=4.0), (1, 1, 1, 1, 4.0)),
    "fir2": (lambda x: fir(x, 2), (1, 1, 2, 2, 1.0)),
    "up": (upsample2, (2, 1, 2, 1, 4.0)),
    "down": (downsample2, (1, 2, 1, 1, 1.0)),
}


@pytest.mark.parametrize("twin", ["plain", "fast"])
@pytest.mark.parametrize("name", RESAMPLERS)
def test_resampling_is_the_naive_loop(name: str, twin: str) -> None:
    function, naive = RESAMPLERS[name]
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    with use_ops(twin):  # type: ignore[arg-type]
        out = function(x)
    for n in range(2):
        for c in range(3):
            torch.testing.assert_close(out[n, c], naive_resample(x[n, c], *naive), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", RESAMPLERS)
def test_resampling_gradients(name: str) -> None:
    function, _ = RESAMPLERS[name]
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_resampling_keeps_the_mean_of_a_flat_image() -> None:
    x = torch.ones(1, 1, 16, 16)
    torch.testing.assert_close(upsample2(x)[..., 4:-4, 4:-4], torch.ones(1, 1, 24, 24))
    torch.testing.assert_close(downsample2(x)[..., 2:-2, 2:-2], torch.ones(1, 1, 4, 4))


def naive_modulated_conv(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool) -> Tensor:
    out = []
    for image, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]
        if demodulate:
            w = w / torch.stack([(o.square().sum() + 1e-8).sqrt() for o in w])[:, None, None, None]
        out.append(torch.nn.functional.conv2d(image[None], w, padding=weight.shape[-1] // 2)[0])
    return torch.stack(out)


@pytest.mark.parametrize("twin", ["plain", "fast"])
@pytest.mark.parametrize("size", [8, 40])  # below and above the size from which the fast path scales the weights
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_is_the_naive_one(twin: str, size: int, batch: int, demodulate: bool) -> None:
    x, weight, styles = torch.randn(batch, 4, size, size), torch.randn(5, 4, 3, 3), torch.randn(batch, 4)
    expected = naive_modulated_conv(x.double(), weight.double(), styles.double(), demodulate) * 1.5
    with use_ops(twin):  # type: ignore[arg-type]
        out = modulated_conv2d(x, weight, styles, demodulate=demodulate, gain=1.5)
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [8, 40])
def test_upsampling_convolution_twins_agree(batch: int, size: int) -> None:
    x, weight, styles = torch.randn(batch, 4, size, size), torch.randn(5, 4, 3, 3), torch.randn(batch, 4)
    with use_ops("plain"):
        plain = modulated_conv2d(x, weight, styles, up=True)
    fast = modulated_conv2d(x, weight, styles, up=True)
    assert fast.shape == (batch, 5, 2 * size, 2 * size)
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)


def test_modulated_convolution_gradients() -> None:
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    styles = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    # The normalization is float32 by definition, which is too coarse for finite differences: checked without it.
    assert torch.autograd.gradcheck(lambda *a: modulated_conv2d(*a, demodulate=False), (x, weight, styles))
    assert torch.autograd.gradgradcheck(lambda *a: modulated_conv2d(*a, demodulate=False), (x, weight, styles))


@pytest.mark.parametrize(("batch", "channels", "size"), [(1, 64, 64), (2, 128, 32)])  # weights scaled, activations scaled
def test_weight_gradient_by_a_matrix_product_is_that_of_the_plain_twin(
    batch: int, channels: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = torch.randn(batch, channels, size, size), torch.randn(64, channels, 3, 3), torch.randn(batch, channels)
    assert modulated_conv._PRODUCT_FROM <= 64 * 256**2 * 64, "so it is taken for a layer of 256 px"
    monkeypatch.setattr(modulated_conv, "_PRODUCT_FROM", leaves[0].numel() * 64)
    gradients = []
    for twin in ("plain", "fast"):
        copies = [leaf.clone().requires_grad_(True) for leaf in leaves]
        with use_ops(twin):  # type: ignore[arg-type]
            modulated_conv2d(*copies, up=True).square().mean().backward()
        gradients.append([copy.grad for copy in copies])
    for plain, fast in zip(*gradients, strict=True):
        assert float((plain - fast).abs().max() / plain.abs().max()) < 1e-4


def test_gradients_of_the_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.ops.modulated_conv._PRODUCT_FROM", 0)
    monkeypatch.setattr("mien.ops.modulated_conv._PRODUCT_CHANNELS", 1)
    x, weight, styles = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 2, 3, 2), (3, 2, 3, 3), (2, 2))
    )
    assert torch.autograd.gradcheck(lambda *a: modulated_conv2d(*a, up=True, demodulate=False), (x, weight, styles))
    assert torch.autograd.gradgradcheck(lambda *a: modulated_conv2d(*a, up=True, demodulate=False), (x, weight, styles))


@pytest.mark.parametrize("twin", ["plain", "fast"])
def test_bias_act_is_its_formula(twin: str) -> None:
    x, bias, noise = torch.randn(2, 3, 4, 4), torch.randn(3), torch.randn(4, 4)
    total = x + noise + bias[None, :, None, None]
    expected = (torch.where(total > 0, total, 0.2 * total) * math.sqrt(2)).clamp(-1, 1)
    with use_ops(twin):  # type: ignore[arg-type]
        out = bias_act(x.clone(), bias, noise=noise, gain=math.sqrt(2), clamp=1.0)
    torch.testing.assert_close(out, expected)
    with use_ops(twin):  # type: ignore[arg-type]
        linear = bias_act(x.clone(), bias, linear=True)
    torch.testing.assert_close(linear, x + bias[None, :, None, None])


@pytest.mark.parametrize("method", ["depthwise", "planes", "shifts"])
@pytest.mark.parametrize("name", RESAMPLERS)
def test_every_method_of_the_filter_is_the_definition(name: str, method: FirMethod) -> None:
    function, _ = RESAMPLERS[name]
    plain = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    last = plain.contiguous(memory_format=torch.channels_last)
    with use_ops("plain"):
        wanted = function(plain)
    with use_fir(method):
        assert current_fir() == method
        for x in (plain, last):
            out = function(x)
            torch.testing.assert_close(out, wanted)
            assert (out.stride(1) == 1) == (x is last)
        probe = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(function, probe)
        assert torch.autograd.gradgradcheck(function, probe)
    assert current_fir() == "depthwise"


def test_backward_passes_keep_the_method_of_their_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def counted(*values: Any) -> Tensor:
        used.append("planes")
        return fir_methods.planes(*values)

    monkeypatch.setattr(resample, "METHODS", {**fir_methods.METHODS, "planes": counted})
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    with use_fir("planes"):
        out = downsample2(x)
    out.sum().backward()
    assert used == ["planes", "planes"]


_INTERPRETED = """
import torch
from mien.ops import downsample2, fir, upsample2, use_fir, use_ops

torch.manual_seed(0)
for function in (upsample2, downsample2, lambda x: fir(x, 2), lambda x: fir(x, 1, gain=4.0)):
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(2, 3, 6, 8).to(dtype).contiguous(memory_format=layout)
            ours, definition = x.clone().requires_grad_(), x.float().requires_grad_()
            with use_fir("triton"):
                found = function(ours)
            with use_ops("plain"):
                wanted = function(definition)
            assert found.dtype == dtype and found.is_contiguous(memory_format=layout)
            torch.testing.assert_close(found.float(), wanted, rtol=tolerance, atol=tolerance)
            signal = torch.randn_like(wanted).to(dtype)
            (gradient,) = torch.autograd.grad(found, ours, signal)
            (right,) = torch.autograd.grad(wanted, definition, signal.float())
            torch.testing.assert_close(gradient.float(), right, rtol=tolerance, atol=2 * tolerance)
print("agrees")
"""


_COMPILED = """
import itertools
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mien.ops.fir_triton import _fir_kernel

names = _fir_kernel.arg_names
# Half of the 32 combinations: among them is every combination of any four of the five.
for up, down, last, number in itertools.product((1, 2), (1, 2), (True, False), ("fp32", "bf16")):
    total = ("i32", "i64")[(up + down + last + (number == "fp32")) % 2]
    kinds = dict.fromkeys(names, "i32") | {"x": f"*{number}", "out": f"*{number}", "total": total, "gain": "fp32"}
    fixed = {"UP": up, "DOWN": down, "CHANNELS_LAST": last, "BLOCK": 512}
    source = ASTSource(_fir_kernel, kinds | dict.fromkeys(fixed, "constexpr"), fixed)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]
print("compiles")
"""
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed (it comes with PyTorch for CUDA on Linux)"
)


@needs_triton
@pytest.mark.slow
def test_the_triton_kernel_compiles_for_a_gpu(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _COMPILED], env=os.environ | {"TRITON_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "compiles", answer.stderr


@pytest.mark.slow
@needs_triton
def test_the_triton_kernel_is_the_definition() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _INTERPRETED], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "agrees", answer.stderr
