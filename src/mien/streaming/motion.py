"""How a face moved from one frame to the next: a shift, a turn and a change of size, to a fraction of a pixel.

The inverse compositional algorithm (Baker & Matthews 2004) for similarities, coarse to fine, on brightness with its local mean
removed, with weights that leave out what changed otherwise (Huber 1964): lips, lids, a hand. Landmarks of a network are a
hundredth of the face apart from one frame to the next; this is a tenth of that, and it does not lag.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.align import CropFrame
from mien.faces.warp import blur

_LEVELS = (4, 2, 1)  # the patch is made smaller so many times, one after the other
_ROUNDS = 4  # on each level, at most
_FLAT = 0.08  # of the side: radius of the local mean that is removed
_SOFT = 1.0  # pixels: radius of the blur that makes slopes of differences between neighbours
_OUTLIER = 1.5  # times the median difference: from there on a pixel counts less
_ENOUGH = 3e-5  # of half the side: a smaller step is none
_LARGEST = 0.35  # a shift (in half sides), turn (radians) or change of size beyond this is no motion of one frame
_ALIKE = 0.5  # correlation below which it is not the same face
_CENTRE, _RADII = (0.0, 0.16), (0.62, 0.8)  # the face in a patch whose sides are at -1 and 1


@dataclass(frozen=True)
class Motion:
    """A similarity about a square's center: right and down in units of its side, size factor, and turn in degrees."""

    right: float = 0.0
    down: float = 0.0
    factor: float = 1.0
    turn: float = 0.0

    def of(self, square: CropFrame) -> CropFrame:
        """Where the square has gone."""
        moved = square.moved(self.right, self.down).scaled(self.factor)
        return CropFrame(moved.center, moved.side, moved.angle + self.turn)


class Template:
    """A face's brightness [1, s, s] as it was, ready to be found in the patches of the next frames."""

    def __init__(self, gray: Tensor) -> None:
        self.levels = [_Level(_smaller(gray, factor)) for factor in _LEVELS]

    def motion_to(self, gray: Tensor) -> tuple[Motion, float] | None:
        """How the face in another patch [1, s, s] lies to where it was in this one, and how alike both then are, up to 1.

        None where it was not found.
        """
        p, likeness = torch.zeros(4), 0.0  # a, b, x, y: (1 + a, -b; b, 1 + a) and a shift, with the sides at -1 and 1
        for factor, level in zip(_LEVELS, self.levels, strict=True):
            p, likeness = level.refined(p, _flattened(_smaller(gray, factor)))
        if not bool(p.isfinite().all()) or float(p.abs().amax()) > _LARGEST or likeness < _ALIKE:
            return None
        a, b, x, y = p.tolist()
        return Motion(x / 2, y / 2, math.hypot(1 + a, b), math.degrees(math.atan2(b, 1 + a))), likeness


class _Level:
    def __init__(self, gray: Tensor) -> None:
        flat = _flattened(gray)
        size = gray.shape[-1]
        line = (torch.arange(size) + 0.5) * (2 / size) - 1
        x, y = line.expand(size, size), line[:, None].expand(size, size)
        padded = F.pad(flat[None], (1, 1, 1, 1), mode="replicate")[0, 0]
        dx = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (size / 4)
        dy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * (size / 4)
        self.steps = torch.stack([dx * x + dy * y, dy * x - dx * y, dx, dy]).flatten(1)  # [4, pixels]
        distance = ((x - _CENTRE[0]) / _RADII[0]).square() + ((y - _CENTRE[1]) / _RADII[1]).square()
        self.weight = torch.sigmoid((1 - distance) * 6).flatten()
        self.flat = flat.flatten()
        self.base = torch.stack([x, y], dim=-1)

    def refined(self, p: Tensor, flat: Tensor) -> tuple[Tensor, float]:
        seen = self.flat
        for _ in range(_ROUNDS):
            a, b, x, y = p.tolist()
            turn = torch.tensor([[1 + a, b], [-b, 1 + a]])
            grid = self.base @ turn + torch.tensor([x, y])
            read = F.grid_sample(flat[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)
            seen = read.flatten()
            error = seen - self.flat
            typical = error.abs().median() * _OUTLIER + 1e-6
            weight = self.weight * (typical / error.abs().clamp(min=typical))
            weighted = self.steps * weight
            hessian = weighted @ self.steps.T
            hessian.diagonal().add_(1e-6 * float(hessian.diagonal().mean()) + 1e-12)
            step = torch.linalg.solve(hessian, weighted @ error)
            p = _composed(p, step)
            if float(step.abs().amax()) < _ENOUGH or float(p.abs().amax()) > 1:
                break
        both, own, other = ((self.weight * x).sum() for x in (seen * self.flat, seen.square(), self.flat.square()))
        return p, float(both / (own * other).sqrt().clamp(min=1e-9))


def _composed(p: Tensor, step: Tensor) -> Tensor:
    """The warp `p` after the inverse of the small warp `step`."""
    one = complex(1 + float(p[0]), float(p[1]))
    other = complex(1 + float(step[0]), float(step[1]))
    scale = one / other
    shift = complex(float(p[2]), float(p[3])) - scale * complex(float(step[2]), float(step[3]))
    return torch.tensor([scale.real - 1, scale.imag, shift.real, shift.imag])


def _smaller(gray: Tensor, factor: int) -> Tensor:
    return gray if factor == 1 else F.avg_pool2d(gray[None], factor)[0]


def _flattened(gray: Tensor) -> Tensor:
    """Brightness without its local mean, of unit contrast: neither light nor exposure moves a face."""
    flat = blur(gray, _SOFT) - blur(gray, _FLAT * gray.shape[-1])
    return flat / (flat.square().mean().sqrt() + 0.01)
