"""Modulated convolution (Karras et al. 2020, equations 1 and 3): the weights are scaled per sample, then normalised.

w'[i, j] = s[i] * w[i, j],   w''[i, j] = w'[i, j] / sqrt(sum_ik w'[i, j]^2 + eps)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.ops.implementation import current
from mien.ops.resample import fir

_EPS = 1e-8
# Above this size a single sample is cheaper with scaled weights than with scaled activations.
_SCALE_WEIGHTS_ABOVE = 32


def modulated_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False, gain: float = 1.0
) -> Tensor:
    """Convolve `x` [N, I, H, W] with `weight` [O, I, k, k] modulated by `styles` [N, I]; returns a fresh tensor.

    `up` doubles the size (transposed convolution, then the low-pass filter). `gain` multiplies the result.
    `weight` already carries its equalised learning rate. Computes in the type of `x`; the normalisation in float32.
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
    return (styles.float().square() @ energy.t() + _EPS).rsqrt()


def _plain(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool, up: bool, gain: float) -> Tensor:
    """The definition: one set of weights per sample, all samples as groups of one convolution."""
    n, i, h, width = x.shape
    o, _, k, _ = weight.shape
    w = weight[None] * styles.reshape(n, 1, i, 1, 1)  # [N, O, I, k, k]
    if demodulate:
        w = w * (w.square().sum(dim=(2, 3, 4), keepdim=True) + _EPS).rsqrt()
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
        return fir(F.conv_transpose2d(x, weight, stride=2), 1, gain=4.0)
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
