"""Drawn faces made as sharp as the photo that they go back into.

A face of 256 px in a head of 1,000 is a blur. The compact network of Real-ESRGAN draws its lines anew at four times the size.
It also takes fine grain for noise and wipes it away, from paint and pencil as from skin, which then looks like plastic: part of
what it wiped is put back, as far as the face itself has it (one step of back-projection, Irani & Peleg 1991).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.upscaler_weights import PACKAGE, read_upscaler, upscaler_is_installed
from mien.faces.config import Upscale
from mien.models.compact_upscaler import CompactUpscaler

MISSING = f"the package that sharpens it is not installed: `pip install {PACKAGE}`"
_GRAIN_KEPT = 0.5  # of what the network wiped away
_ENLARGED = 1.05  # how far a face may be enlarged in its photo before it is worth sharpening
_MOST = 4.0  # times as many pixels a side as the network makes


def upscale_factor(upscale: Upscale, enlargement: float) -> float:
    """How many times as many pixels a side a face gets that is enlarged so far in its photo; 1 is none.

    `auto` takes as many as the photo shows, at most 4 times, and 1 where the package with the network is not installed.
    """
    if upscale == "none":
        return 1.0
    if upscale != "auto":
        return float(upscale)
    return min(_MOST, enlargement) if enlargement > _ENLARGED and upscaler_is_installed() else 1.0


@torch.inference_mode()
def upscaled(
    face: Tensor,
    factor: float,
    network: CompactUpscaler | None = None,
    *,
    grain: float = _GRAIN_KEPT,
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """A face [3, s, s] in [-1, 1] with `factor` times as many pixels a side, drawn sharply: on the CPU, float32.

    Beyond 4 times it is plainly resampled. `grain` 0 leaves the network's clean surfaces, 1 gives the face's own grain back in
    full. `network`: None takes the installed one (`CheckpointError` where there is none). `dtype` is that of the convolutions.
    """
    if factor == 1.0:
        return face
    network = network or read_upscaler()
    image = (face.float().clamp(-1, 1)[None] + 1) / 2
    whole = network(image, dtype)
    wiped = image - _resize(whole, face.shape[-1])
    whole = whole + grain * F.interpolate(wiped, size=whole.shape[-2:], mode="bicubic", align_corners=False)
    return (_resize(whole, round(factor * face.shape[-1])) * 2 - 1).clamp(-1, 1)[0]


def _resize(image: Tensor, size: int) -> Tensor:
    if image.shape[-1] == size:
        return image
    return F.interpolate(image, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
