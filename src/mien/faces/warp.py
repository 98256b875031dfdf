"""Affine resampling of images, band-limited in both directions.

The source is first resampled along its own axes with a Lanczos kernel (Duchon 1979), as dense as needed for the second step to
be exact to the eye, and low-passed where the result is smaller. Then the rotated result is read from that finer grid by bicubic
interpolation (Keys 1981). Beyond its border an image continues as its mirror image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_ROWS_AT_ONCE = 512
_MATRIX_UP_TO = 1500  # rows of the source: up to so many, one matrix product is quicker than a sum over the taps
_REDUCED_TO = 3  # source pixels per pixel of the result that are left for the Lanczos kernel, at least


@dataclass(frozen=True)
class Affine:
    """The map (x, y) -> (a x + b y + c, d x + e y + f); pixel centers lie at half coordinates."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def __call__(self, points: Tensor) -> Tensor:
        """Points [..., 2] -> points [..., 2]."""
        matrix = torch.tensor([[self.a, self.b], [self.d, self.e]], dtype=points.dtype, device=points.device)
        shift = torch.tensor([self.c, self.f], dtype=points.dtype, device=points.device)
        return points @ matrix.T + shift

    @property
    def scale(self) -> float:
        """By how much lengths grow (square root of the determinant's size)."""
        return math.sqrt(abs(self.a * self.e - self.b * self.d))

    def inverse(self) -> Affine:
        """The map back."""
        det = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / det, -self.b / det, -self.d / det, self.a / det
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))


def warp(source: Tensor, to_source: Affine, height: int, width: int, *, oversample: float = 2.0) -> Tensor:
    """Read an image [C, H, W] through an affine map: result [C, height, width], its point p is the source's `to_source(p)`.

    `oversample` is the density of the grid between the two steps, in samples per period of the finest detail that is kept.
    """
    if (factor := int(to_source.scale // _REDUCED_TO)) > 1:
        source, to_source = reduce(source, to_source, height, width, factor)
    stretch = max(1.0, to_source.scale)
    spacing = stretch / oversample
    # Four lobes lose the least; where an image is enlarged their ringing would be seen, and three show less of it.
    lobes = 4 if to_source.scale > 0.8 else 3
    corners = to_source(torch.tensor([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]], dtype=torch.float64))
    low, high = corners.amin(dim=0), corners.amax(dim=0)
    margin = 3.0  # of the finer grid: the bicubic kernel reaches two samples
    # The first pixel of the result lies on a sample of the finer grid: so, where nothing is turned, do all others.
    origin = to_source(torch.tensor([0.5, 0.5], dtype=torch.float64))
    before = [math.ceil((float(origin[i]) - float(low[i])) / spacing + margin) for i in (0, 1)]
    starts = [float(origin[i]) - (before[i] + 0.5) * spacing for i in (0, 1)]
    counts = [math.ceil((float(high[i]) - starts[i]) / spacing + margin) for i in (0, 1)]
    across, along = (
        _taps(start, spacing, count, stretch, lobes, size)
        for start, count, size in zip(starts, counts, (source.shape[2], source.shape[1]), strict=True)
    )
    first, last = int(across[0].min()), int(across[0].max())
    fine = _resample_rows(source[:, :, first : last + 1].float(), *along)
    fine = _resample_rows(fine.transpose(1, 2), across[0] - first, across[1]).transpose(1, 2)

    # From here on in coordinates of the finer grid, scaled to [-1, 1] as grid_sample wants them.
    x = torch.arange(width, dtype=torch.float64) + 0.5
    result = source.new_empty(source.shape[0], height, width, dtype=torch.float32)
    for top in range(0, height, _ROWS_AT_ONCE):
        y = torch.arange(top, min(height, top + _ROWS_AT_ONCE), dtype=torch.float64) + 0.5
        u = ((to_source.a * x + to_source.c)[None] + (to_source.b * y)[:, None] - starts[0]) / (spacing * counts[0])
        v = ((to_source.d * x + to_source.f)[None] + (to_source.e * y)[:, None] - starts[1]) / (spacing * counts[1])
        grid = torch.stack([u, v], dim=-1).mul_(2).sub_(1).float()
        rows = F.grid_sample(fine[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)
        result[:, top : top + len(y)] = rows[0]
    return result


def reduce(source: Tensor, to_source: Affine, height: int, width: int, factor: int) -> tuple[Tensor, Affine]:
    """The part of an image that `warp` would read, made smaller by a whole factor, and the map to it.

    Each pixel of it is the mean of `factor` x `factor` pixels: cheap, and fine enough where the result is much coarser.
    """
    corners = to_source(torch.tensor([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]], dtype=torch.float64))
    reach = 6 * to_source.scale
    low, high = (corners.amin(dim=0) - reach).tolist(), (corners.amax(dim=0) + reach).tolist()
    starts, ends = [0, 0], [source.shape[2], source.shape[1]]
    for axis in (0, 1):
        # Where the part reaches beyond the image, all of the image may be needed for its mirror image.
        if low[axis] >= 0 and high[axis] <= ends[axis]:
            starts[axis], ends[axis] = math.floor(low[axis]), math.ceil(high[axis])
    part = source[:, starts[1] : ends[1], starts[0] : ends[0]].float()
    missing = [-length % factor for length in (part.shape[2], part.shape[1])]
    part = F.pad(part[None], (0, missing[0], 0, missing[1]), mode="replicate")
    a, b, d, e = (v / factor for v in (to_source.a, to_source.b, to_source.d, to_source.e))
    moved = Affine(a, b, (to_source.c - starts[0]) / factor, d, e, (to_source.f - starts[1]) / factor)
    return F.avg_pool2d(part, factor)[0], moved


def _taps(start: float, spacing: float, count: int, stretch: float, lobes: int, size: int) -> tuple[Tensor, Tensor]:
    """Where Lanczos resampling along an axis of `size` samples reads, and with which weights, both [count, taps].

    Sample k of the result lies at `start + (k + 0.5) * spacing`.
    """
    position = start + (torch.arange(count, dtype=torch.float64) + 0.5) * spacing
    taps = 2 * math.ceil(lobes * stretch)
    index = (torch.floor(position - 0.5).long() - taps // 2 + 1)[:, None] + torch.arange(taps)
    distance = (index.double() + 0.5 - position[:, None]) / stretch
    weight = torch.sinc(distance) * torch.sinc(distance / lobes) * (distance.abs() < lobes)
    weight = weight / weight.sum(dim=1, keepdim=True)
    return _mirror(index, size), weight.float()


def _resample_rows(source: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Rows of [C, H, W] mixed as `_taps` says: [C, count, W]."""
    if source.shape[1] <= _MATRIX_UP_TO:
        matrix = torch.zeros(index.shape[0], source.shape[1]).scatter_add_(1, index, weight)
        return matrix @ source
    result = torch.zeros(source.shape[0], index.shape[0], source.shape[2], dtype=torch.float32)
    for tap in range(index.shape[1]):
        result.addcmul_(source[:, index[:, tap]], weight[:, tap, None])
    return result


def _mirror(index: Tensor, size: int) -> Tensor:
    """Indices of an image that continues as its mirror image, without repeating the border pixel."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.where(index >= size, period - index, index)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [C, H, W] with the given standard deviation in pixels; the border pixel is repeated outside."""
    reach = max(1, math.ceil(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / sigma) ** 2)
    taps = taps / taps.sum()
    planes = F.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, taps[None, None, :, None])
    return F.conv2d(planes, taps[None, None, None, :])[:, 0]
