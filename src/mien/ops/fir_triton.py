"""The low-pass filter as one Triton kernel: every pixel of the result is read, summed and written once.

Imported only where Triton is: it comes with PyTorch for CUDA on Linux. With TRITON_INTERPRET=1 it runs on a CPU, for tests.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from mien.ops.low_pass import filtered_size

_BLOCK = 512


# Annotations of a kernel are read by its compiler: none but `tl.constexpr`.
@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _fir_kernel(  # type: ignore[no-untyped-def]
    x, out, total, channels, height, width, out_height, out_width, before_y, before_x, gain,
    UP: tl.constexpr, DOWN: tl.constexpr, CHANNELS_LAST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # Neighbouring threads take neighbouring numbers of the result in memory; the taps they share come from the cache.
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < total
    if CHANNELS_LAST:
        pixel = index // channels
        start = (pixel // (out_width * out_height)) * height * width * channels + index % channels
        step = channels
    else:
        pixel = index
        start = (pixel // (out_width * out_height)) * height * width
        step = 1
    column = pixel % out_width * DOWN - before_x
    row = pixel // out_width % out_height * DOWN - before_y
    found = tl.zeros((BLOCK,), tl.float32)
    for k in tl.static_range(4):
        y = row + k
        for j in tl.static_range(4):
            z = column + j
            weight = (0.375 if k == 1 or k == 2 else 0.125) * (0.375 if j == 1 or j == 2 else 0.125)
            inside = live & (y >= 0) & (y < height * UP) & (z >= 0) & (z < width * UP)
            if UP == 2:  # the other pixels of the spread image are zero
                inside = inside & (y % 2 == 0) & (z % 2 == 0)
            found += weight * tl.load(x + start + ((y // UP) * width + z // UP) * step, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + index, (found * gain).to(out.dtype.element_ty), mask=live)


def fir_triton(x: Tensor, up: int, down: int, pad_y: tuple[int, int], pad_x: tuple[int, int], gain: float) -> Tensor:
    """As `mien.ops.fir_methods` has it; float64 is summed in float32 too."""
    if up not in (1, 2):
        raise ValueError(f"the kernel spreads images by 1 or 2, got {up}")
    n, c, h, w = x.shape
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    x = x if last else x.contiguous()
    size = (n, c, filtered_size(h, up, down, pad_y), filtered_size(w, up, down, pad_x))
    out = torch.empty(
        size, device=x.device, dtype=x.dtype, memory_format=torch.channels_last if last else torch.contiguous_format
    )
    grid = (triton.cdiv(out.numel(), _BLOCK),)
    with torch.cuda.device(x.device) if x.device.type == "cuda" else nullcontext():  # kernels start on the current device
        _fir_kernel[grid](
            x, out, out.numel(), c, h, w, size[2], size[3], pad_y[0], pad_x[0], gain,
            UP=up, DOWN=down, CHANNELS_LAST=last, BLOCK=_BLOCK,
        )  # fmt: skip
    return out
