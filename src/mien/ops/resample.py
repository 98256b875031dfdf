"""Resampling with StyleGAN2's low-pass filter, the outer product of [1, 3, 3, 1] with itself, normalized to sum 1.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", section "up- and downsampling".
One operation covers all uses: insert zeros (`up`), pad, filter, keep every `down`-th pixel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.ops.fir_methods import METHODS
from mien.ops.implementation import current, current_fir
from mien.ops.low_pass import SIZE, kernel
from mien.runtime import FirMethod


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
    result: Tensor = _ResampleFast.apply(x, up, down, pad, pad, gain, current_fir())  # type: ignore[no-untyped-call]
    return result


def _resample_plain(x: Tensor, up: int, down: int, pad: tuple[int, int], gain: float) -> Tensor:
    """The definition: a dense convolution over one-channel planes."""
    n, c, h, w = x.shape
    planes = x.reshape(n * c, 1, h, w)
    if up > 1:
        spread = planes.new_zeros(n * c, 1, h, up, w, up)
        spread[:, :, :, 0, :, 0] = planes
        # Padding (p0, p1) counts from the last zero of the spread image, as if zeros followed every pixel.
        planes = spread.reshape(n * c, 1, h * up, w * up)
    planes = F.pad(planes, (pad[0], pad[1], pad[0], pad[1]))
    planes = F.conv2d(planes, kernel(x, gain)[None, None])[:, :, ::down, ::down]
    return planes.reshape(n, c, planes.shape[2], planes.shape[3])


class _ResampleFast(torch.autograd.Function):
    """The filter by the method in use; the backward pass is itself with up and down exchanged, by the same method."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, up: int, down: int, pad_y: tuple[int, int], pad_x: tuple[int, int], gain: float, method: FirMethod
    ) -> Tensor:
        ctx.args = (up, down, pad_y, pad_x, gain, method)
        ctx.size = (x.shape[2], x.shape[3])
        out = METHODS[method](x, up, down, pad_y, pad_x, gain)
        ctx.out_size = (out.shape[2], out.shape[3])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        up, down, pad_y, pad_x, gain, method = ctx.args

        def transposed(pad: tuple[int, int], size: int, out_size: int) -> tuple[int, int]:
            # out[j] = sum_k f[k] u[j*down + k - p0] turned round; the filter is symmetric, so only the padding changes.
            before = SIZE - 1 - pad[0]
            after = (size - 1) * up + SIZE - out_size * down - before
            return before, after

        pad_y = transposed(pad_y, ctx.size[0], ctx.out_size[0])
        pad_x = transposed(pad_x, ctx.size[1], ctx.out_size[1])
        grad_x: Tensor = _ResampleFast.apply(grads[0], down, up, pad_y, pad_x, gain, method)  # type: ignore[no-untyped-call]
        return grad_x, None, None, None, None, None, None


def resize(images: Tensor, size: int) -> Tensor:
    """Images [N, 3, H, W] at [N, 3, size, size], anti-aliased when they shrink."""
    if images.shape[-1] == size and images.shape[-2] == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)
