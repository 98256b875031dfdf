"""Resampling with StyleGAN2's low-pass filter, the outer product of [1, 3, 3, 1] with itself, normalised to sum 1.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", section "up- and downsampling".
One operation covers all uses: insert zeros (`up`), pad, filter, keep every `down`-th pixel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.ops.implementation import current

_TAPS = (0.125, 0.375, 0.375, 0.125)
_SIZE = len(_TAPS)


def _kernel(like: Tensor, gain: float) -> Tensor:
    taps = torch.tensor(_TAPS, dtype=torch.float32, device=like.device)
    return (torch.outer(taps, taps) * gain).to(like.dtype)


def fir(x: Tensor, pad: int, *, gain: float = 1.0) -> Tensor:
    """Low-pass filter `x` [N, C, H, W] after padding every side with `pad` zeros: [N, C, H+2*pad-3, W+2*pad-3]."""
    return _resample(x, up=1, down=1, pad=(pad, pad), gain=gain)


def upsample2(x: Tensor) -> Tensor:
    """Double the size of `x` [N, C, H, W]; the mean is kept."""
    return _resample(x, up=2, down=1, pad=(2, 1), gain=4.0)


def downsample2(x: Tensor) -> Tensor:
    """Halve the size of `x` [N, C, H, W] (even H and W); the mean is kept."""
    return _resample(x, up=1, down=2, pad=(1, 1), gain=1.0)


def _resample(x: Tensor, *, up: int, down: int, pad: tuple[int, int], gain: float) -> Tensor:
    if current() == "plain":
        return _resample_plain(x, up, down, pad, gain)
    result: Tensor = _ResampleFast.apply(x, up, down, pad, pad, gain)  # type: ignore[no-untyped-call]
    return result


def _resample_plain(x: Tensor, up: int, down: int, pad: tuple[int, int], gain: float) -> Tensor:
    """The definition: a dense convolution over one-channel planes."""
    n, c, h, w = x.shape
    planes = x.reshape(n * c, 1, h, w)
    if up > 1:
        spread = planes.new_zeros(n * c, 1, h, up, w, up)
        spread[:, :, :, 0, :, 0] = planes
        # Padding (p0, p1) counts from the last zero of the spread picture, as if zeros followed every pixel.
        planes = spread.reshape(n * c, 1, h * up, w * up)
    planes = F.pad(planes, (pad[0], pad[1], pad[0], pad[1]))
    planes = F.conv2d(planes, _kernel(x, gain)[None, None])[:, :, ::down, ::down]
    return planes.reshape(n, c, planes.shape[2], planes.shape[3])


class _ResampleFast(torch.autograd.Function):
    """Depthwise filter in the memory format of its input; the backward pass is itself with up and down exchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, up: int, down: int, pad_y: tuple[int, int], pad_x: tuple[int, int], gain: float) -> Tensor:
        ctx.args = (up, down, pad_y, pad_x, gain)
        ctx.size = (x.shape[2], x.shape[3])
        out = _resample_depthwise(x, up, down, pad_y, pad_x, gain)
        ctx.out_size = (out.shape[2], out.shape[3])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        up, down, pad_y, pad_x, gain = ctx.args

        def transposed(pad: tuple[int, int], size: int, out_size: int) -> tuple[int, int]:
            # out[j] = sum_k f[k] u[j*down + k - p0] turned round; the filter is symmetric, so only the padding changes.
            before = _SIZE - 1 - pad[0]
            after = (size - 1) * up + _SIZE - out_size * down - before
            return before, after

        pad_y = transposed(pad_y, ctx.size[0], ctx.out_size[0])
        pad_x = transposed(pad_x, ctx.size[1], ctx.out_size[1])
        grad_x: Tensor = _ResampleFast.apply(grads[0], down, up, pad_y, pad_x, gain)  # type: ignore[no-untyped-call]
        return grad_x, None, None, None, None, None


def _resample_depthwise(x: Tensor, up: int, down: int, pad_y: tuple[int, int], pad_x: tuple[int, int], gain: float) -> Tensor:
    if up == 2:
        return _upsample_bilinear(x, pad_y, pad_x, gain)
    c = x.shape[1]
    weight = _kernel(x, gain).expand(c, 1, _SIZE, _SIZE)
    padding = (pad_y[0], pad_x[0])
    if pad_y[0] != pad_y[1] or pad_x[0] != pad_x[1] or min(padding) < 0:
        x, padding = F.pad(x, (*pad_x, *pad_y)), (0, 0)
    return F.conv2d(x, weight, stride=down, padding=padding, groups=c)


def _upsample_bilinear(x: Tensor, pad_y: tuple[int, int], pad_x: tuple[int, int], gain: float) -> Tensor:
    # Zero insertion and [1, 3, 3, 1] are bilinear interpolation by two wherever the neighbours exist:
    # one ring of zeros supplies them at the border, and what lies outside the wanted window is cut off.
    h, w = x.shape[2], x.shape[3]
    big = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    # With pad (2, 1) the window starts at the first pixel of the interpolated picture proper, index 2 of `big`.
    top, left = 4 - pad_y[0], 4 - pad_x[0]
    out_h, out_w = 2 * h + pad_y[0] + pad_y[1] - 3, 2 * w + pad_x[0] + pad_x[1] - 3
    out = big[:, :, top : top + out_h, left : left + out_w]
    return out * (gain / 4.0) if gain != 4.0 else out


def resize(pictures: Tensor, size: int) -> Tensor:
    """Pictures [N, 3, H, W] at [N, 3, size, size], anti-aliased when they shrink."""
    if pictures.shape[-1] == size and pictures.shape[-2] == size:
        return pictures
    return F.interpolate(pictures, (size, size), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)
