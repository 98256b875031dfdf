"""Ways to compute StyleGAN2's low-pass filter. All give the same result; which is fastest depends on the device.

A method takes images [N, C, H, W], inserts zeros (`up`), pads, filters with the outer product of [1, 3, 3, 1] / 8 with itself
times `gain`, and keeps every `down`-th pixel. `pad_y` and `pad_x` are (before, after), counted as if zeros followed every
pixel. The result lies in memory as the input does: channels first or last. Gradients are the business of `mien.ops.resample`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.ops.low_pass import SIZE, Pad, filtered_size, kernel
from mien.runtime import FirMethod

Filter = Callable[[Tensor, int, int, Pad, Pad, float], Tensor]


def depthwise(x: Tensor, up: int, down: int, pad_y: Pad, pad_x: Pad, gain: float) -> Tensor:
    """A depthwise convolution: the fastest on CPUs with channels last."""
    if up == 2:
        return _upsample_bilinear(x, pad_y, pad_x, gain)
    c = x.shape[1]
    weight = kernel(x, gain).expand(c, 1, SIZE, SIZE)
    padding = (pad_y[0], pad_x[0])
    if pad_y[0] != pad_y[1] or pad_x[0] != pad_x[1] or min(padding) < 0:
        x, padding = F.pad(x, (*pad_x, *pad_y)), (0, 0)
    return F.conv2d(x, weight, stride=down, padding=padding, groups=c)


def planes(x: Tensor, up: int, down: int, pad_y: Pad, pad_x: Pad, gain: float) -> Tensor:
    """A dense convolution over one-channel planes."""
    n, c, h, w = x.shape
    flat = x.reshape(n * c, 1, h, w)
    weight = kernel(x, gain)[None, None]
    if up == 2:
        # The transposed convolution is the filter of the spread image padded by (3, 2).
        out = F.pad(F.conv_transpose2d(flat, weight, stride=2), (pad_x[0] - 3, pad_x[1] - 2, pad_y[0] - 3, pad_y[1] - 2))
        out = out[:, :, ::down, ::down]
    else:
        out = F.conv2d(F.pad(flat, (*pad_x, *pad_y)), weight, stride=down)
    return out.reshape(n, c, out.shape[2], out.shape[3]).contiguous(memory_format=_format(x))


def shifts(x: Tensor, up: int, down: int, pad_y: Pad, pad_x: Pad, gain: float) -> Tensor:
    """Sums of shifted images, first along columns, then along rows."""
    if up == 2:
        return _upsample_bilinear(x, pad_y, pad_x, gain)
    x = F.pad(x, (*pad_x, *pad_y))
    for axis, factor in ((2, gain), (3, 1.0)):
        reach = down * ((x.shape[axis] - SIZE) // down) + 1
        parts = [x.narrow(axis, k, reach) for k in range(SIZE)]
        if down > 1:
            parts = [p[:, :, ::down] if axis == 2 else p[..., ::down] for p in parts]
        x = torch.add(parts[0] + parts[3], parts[1] + parts[2], alpha=3.0).mul_(factor / 8)
    return x


def triton(x: Tensor, up: int, down: int, pad_y: Pad, pad_x: Pad, gain: float) -> Tensor:
    """One pass of our own Triton kernel, for CUDA; sums in float32."""
    from mien.ops.fir_triton import fir_triton  # Triton comes with PyTorch for CUDA on Linux alone

    return fir_triton(x, up, down, pad_y, pad_x, gain)


METHODS: Mapping[FirMethod, Filter] = {"depthwise": depthwise, "planes": planes, "shifts": shifts, "triton": triton}


def methods_for(device: torch.device) -> tuple[FirMethod, ...]:
    """The methods that the device can run, the usual one first."""
    has_triton = device.type == "cuda" and importlib.util.find_spec("triton") is not None
    return tuple(name for name in METHODS if name != "triton" or has_triton)


def _format(x: Tensor) -> torch.memory_format:
    # Of one channel or one pixel both are true: the plain format then says the same.
    plain = x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last)
    return torch.contiguous_format if plain else torch.channels_last


def _upsample_bilinear(x: Tensor, pad_y: Pad, pad_x: Pad, gain: float) -> Tensor:
    # Zero insertion and [1, 3, 3, 1] are bilinear interpolation by two wherever the neighbours exist:
    # one ring of zeros supplies them at the border, and what lies outside the wanted window is cut off.
    h, w = x.shape[2], x.shape[3]
    big = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    # With pad (2, 1) the window starts at the first pixel of the interpolated image proper, index 2 of `big`.
    top, left = 4 - pad_y[0], 4 - pad_x[0]
    out_h, out_w = filtered_size(h, 2, 1, pad_y), filtered_size(w, 2, 1, pad_x)
    out = big[:, :, top : top + out_h, left : left + out_w]
    return out * (gain / 4.0) if gain != 4.0 else out
