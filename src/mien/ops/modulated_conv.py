"""Modulated convolution (Karras et al. 2020, equations 1 and 3): the weights are scaled per sample, then normalized.

w'[i, j] = s[i] * w[i, j],   w''[i, j] = w'[i, j] / sqrt(sum_ik w'[i, j]^2 + eps)
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.ops.implementation import current
from mien.ops.resample import fir

EPS = 1e-8
# Above this size a single sample is cheaper with scaled weights than with scaled activations.
_SCALE_WEIGHTS_ABOVE = 32
# From so many multiplications per tap, and so many channels, a matrix product makes the weight gradient faster (measured).
_PRODUCT_FROM, _PRODUCT_CHANNELS = 2**28, 64


def modulated_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False, gain: float = 1.0
) -> Tensor:
    """Convolve `x` [N, I, H, W] with `weight` [O, I, k, k] modulated by `styles` [N, I]; returns a fresh tensor.

    `up` doubles the size (transposed convolution, then the low-pass filter). `gain` multiplies the result.
    `weight` already carries its equalised learning rate. Computes in the type of `x`; the normalization in float32.
    """
    if current() == "plain":
        return _plain(x, weight, styles, demodulate, up, gain)
    scale_out = _demodulation(weight, styles) if demodulate else None
    if x.shape[0] == 1 and x.shape[2] > _SCALE_WEIGHTS_ABOVE:
        w = weight * styles.reshape(1, -1, 1, 1)
        if scale_out is not None:
            w = w * (scale_out * gain).reshape(-1, 1, 1, 1)
        elif gain != 1.0:
            w = w * gain
        return _convolve(x, w.to(x.dtype), up)

    x = x * styles.to(x.dtype)[:, :, None, None]
    y = _convolve(x, weight.to(x.dtype), up)
    if scale_out is not None:
        return y * (scale_out * gain).to(x.dtype)[:, :, None, None]
    return y * gain if gain != 1.0 else y


def _demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """1 / norm of the modulated weights, [N, O], without building them."""
    energy = weight.float().square().sum(dim=(2, 3))  # [O, I]
    return (styles.float().square() @ energy.t() + EPS).rsqrt()


def _plain(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool, up: bool, gain: float) -> Tensor:
    """The definition: one set of weights per sample, all samples as groups of one convolution."""
    n, i, h, width = x.shape
    o, _, k, _ = weight.shape
    w = weight[None] * styles.reshape(n, 1, i, 1, 1)  # [N, O, I, k, k]
    if demodulate:
        w = w * (w.square().sum(dim=(2, 3, 4), keepdim=True) + EPS).rsqrt()
    w = w.to(x.dtype)
    x = x.reshape(1, n * i, h, width)
    if up:
        x = F.conv_transpose2d(x, w.transpose(1, 2).reshape(n * i, o, k, k), stride=2, groups=n)
        y = fir(x.reshape(n, o, x.shape[2], x.shape[3]), 1, gain=4.0)
    else:
        x = F.conv2d(x, w.reshape(n * o, i, k, k), padding=k // 2, groups=n)
        y = x.reshape(n, o, h, width)
    return y * gain


def _convolve(x: Tensor, weight: Tensor, up: bool) -> Tensor:
    if up:
        weight = weight.transpose(0, 1)
        if x.is_contiguous(memory_format=torch.channels_last):
            weight = weight.contiguous(memory_format=torch.channels_last)
        o = weight.shape[1]
        if x.device.type == "cpu" and weight.requires_grad and o >= _PRODUCT_CHANNELS and x.numel() * o >= _PRODUCT_FROM:
            y: Tensor = _UpConvolution.apply(x, weight)  # type: ignore[no-untyped-call]
        else:
            y = F.conv_transpose2d(x, weight, stride=2)
        return fir(y, 1, gain=4.0)
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class _UpConvolution(torch.autograd.Function):
    """Transposed convolution by a 3 x 3 kernel with stride 2 whose weight gradient is one matrix product.

    oneDNN's own weight gradient takes six times what its arithmetic needs here.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv_transpose2d(x, weight, stride=2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (x, weight), grad = ctx.saved_tensors, grads[0]
        grad_x = F.conv2d(grad, weight, stride=2) if ctx.needs_input_grad[0] else None
        n, i, h, w = x.shape
        o = weight.shape[1]
        pixels = grad.permute(0, 2, 3, 1)
        taps = [pixels[:, y : y + 2 * h - 1 : 2, z : z + 2 * w - 1 : 2] for y in range(3) for z in range(3)]
        product = x.permute(0, 2, 3, 1).reshape(n * h * w, i).t() @ torch.cat(taps, dim=3).reshape(n * h * w, 9 * o)
        return grad_x, product.view(i, 3, 3, o).permute(0, 3, 1, 2)
