"""The guided filter (He, Sun & Tang 2010): coarse planes made to follow the edges of an image, at its size or a finer one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TOLERANCE = 2e-3  # of color variance in [-1, 1]: below it, differences of color do not count


def follow(guide: Tensor, planes: Tensor, reach: int, *, tolerance: float = _TOLERANCE) -> Tensor:
    """Planes [k, h, w] that follow the edges of their image [3, h, w]; windows reach `reach` pixels to each side."""
    slopes, offsets = guided_lines(guide, planes, reach, tolerance=tolerance)
    return along(guide, slopes, offsets)


def guided_lines(guide: Tensor, planes: Tensor, reach: int, *, tolerance: float = _TOLERANCE) -> tuple[Tensor, Tensor]:
    """The planes as linear functions of the image's colors near each pixel: slopes [k, 3, h, w], offsets [k, h, w].

    Made larger, they may be evaluated on a finer copy of the image (the fast guided filter, He & Sun 2015).
    """

    def mean(x: Tensor) -> Tensor:
        padded = F.pad(x[None], (reach, reach, reach, reach), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(padded, (2 * reach + 1, 1), 1), (1, 2 * reach + 1), 1)[0]

    height, width = guide.shape[1:]
    mean_guide, mean_planes = mean(guide), mean(planes)
    products = (guide[:, None] * guide[None]).reshape(9, height, width)
    covariance = mean(products).reshape(3, 3, height, width) - mean_guide[:, None] * mean_guide[None]
    with_planes = mean((planes[:, None] * guide[None]).flatten(0, 1)).reshape(-1, 3, height, width)
    with_planes = with_planes - mean_planes[:, None] * mean_guide[None]
    matrix = covariance.permute(2, 3, 0, 1) + tolerance * torch.eye(3)
    slopes = torch.linalg.solve(matrix, with_planes.permute(2, 3, 1, 0)).permute(3, 2, 0, 1)  # [k, 3, h, w]
    offsets = mean_planes - (slopes * mean_guide[None]).sum(dim=1)
    return mean(slopes.flatten(0, 1)).reshape(-1, 3, height, width), mean(offsets)


def along(guide: Tensor, slopes: Tensor, offsets: Tensor) -> Tensor:
    """The planes [k, h, w] that `guided_lines` found, on an image [3, h, w] of the same size as the lines."""
    return (slopes * guide[None]).sum(dim=1) + offsets
