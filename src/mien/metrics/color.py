"""Colors as people see their differences: CIE L*a*b* (1976) of sRGB images under the white of D65."""

from __future__ import annotations

import torch
from torch import Tensor

# IEC 61966-2-1: linear sRGB -> XYZ; the white is the sum of each row.
_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_LINEAR_BELOW = (6 / 29) ** 3


def to_lab(images: Tensor) -> Tensor:
    """L* (0 black to 100 white), a*, b* [N, 3, H, W] of sRGB images [N, 3, H, W] in [-1, 1]; values beyond are clipped."""
    srgb = images.double().clamp(-1, 1).add(1) / 2
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(_TO_XYZ, dtype=torch.float64, device=images.device)
    xyz = torch.einsum("ij,njhw->nihw", matrix / matrix.sum(1, keepdim=True), linear)
    x, y, z = torch.where(xyz > _LINEAR_BELOW, xyz ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def skin_color(crops: Tensor) -> Tensor:
    """Mean L*, a*, b* [N, 3] of cheeks and nose of aligned faces [N, 3, R, R]: below the eyes and above the mouth."""
    side = crops.shape[-1]
    part = crops[:, :, round(0.51 * side) : round(0.68 * side), round(0.36 * side) : round(0.64 * side)]
    return to_lab(part).mean((2, 3))
