"""Registration: references are warped to where the base model draws them.

A style is learned from pairs: what the base model draws of the reference's code, and the reference. Where the two do not have
eyes, mouth and outline in the same places, the copy learns to draw a mouth beside the one that the code says: faces with two.
So the reference is warped until its landmarks lie where the rendering has them, by a thin-plate spline (Bookstein 1989,
"Principal Warps"), which is the smoothest warp that does so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.five_points import crop_points
from mien.faces.head_mask import coarse_head_mask
from mien.latents import Codes
from mien.models.generator import Generator

# Lengths are in units of the image's side.
LEAST = 3 / 256
"""Displacements below this change nothing that can be seen: such references stay as they are."""
_RING = 9 / 256  # what lies around a landmark moves with it: features keep their size
_MOST = 24 / 256  # what lies farther off than this is something else: it is not followed
_FEW_PER_SIDE = 4  # fixed points on each edge of the image
_SMOOTHING = 1e-5  # of the spline: landmarks are known to about a pixel, so they are not met exactly
_CENTRE = (0.5, 0.5)
_ANGLES = tuple(math.radians(a) for a in (-180, -150, -120, -90, -60, -30, 0))  # of the rays to the outline, 0: right, -90: up
_RAY = 64  # places looked at along a ray


@dataclass(frozen=True)
class Landmarks:
    """Where N images have their features, in units of the side."""

    points: Tensor
    """[N, 5, 2]: eyes, nose tip and mouth corners."""
    outline: Tensor
    """[N, A, 2]: where rays from the middle leave head and hair; NaN where they do not within the image."""


def find_landmarks(images: Tensor) -> Landmarks:
    """The landmarks of FFHQ crops [N, 3, S, S] in [-1, 1], on the CPU."""
    images = images.float().cpu().clamp(-1, 1)
    return Landmarks(crop_points(images).double(), _outlines(coarse_head_mask(images)))


def _outlines(masks: Tensor) -> Tensor:
    """Where rays from the middle last leave the masks [N, 1, h, h] in [0, 1]: [N, A, 2], NaN where they do not."""
    angles, far = torch.tensor(_ANGLES, dtype=torch.float64), torch.linspace(0, 0.5, _RAY, dtype=torch.float64)
    ways = torch.stack([angles.cos(), angles.sin()], dim=1)
    # Rays go to the border of the square, not of a circle in it.
    ways = ways / ways.abs().amax(dim=1, keepdim=True)
    places = torch.tensor(_CENTRE, dtype=torch.float64) + ways[:, None] * far[:, None]  # [A, ray, 2]
    grid = (places * 2 - 1).float().expand(len(masks), -1, -1, -1)
    inside = F.grid_sample(masks, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0] > 0.5
    last = (inside * torch.arange(_RAY)).amax(dim=2)  # [N, A]
    found = places[torch.arange(len(angles)), last]
    return torch.where(((last > 0) & (last < _RAY - 2))[..., None], found, torch.nan)


@torch.no_grad()
def rendered_landmarks(generator: Generator, codes: Codes) -> Landmarks:
    """The landmarks that the base model draws of N codes: the mean of those with and without their feature codes.

    While learning, members have any share of the feature code, so half of it is what they have on average.
    """
    noise = generator.synthesis.noise("const")
    drawn = []
    for code in codes.single():
        whole = [generator(code.w_plus, noise)]
        if code.feature_code is not None:
            whole.append(generator(code.w_plus, noise, feature_code=code.feature_code))
        drawn.append(find_landmarks(torch.cat(whole)))
    points = torch.stack([d.points.mean(dim=0) for d in drawn])
    return Landmarks(points, torch.stack([d.outline.mean(dim=0) for d in drawn]))


@dataclass(frozen=True)
class Registered:
    """Registered references."""

    images: Tensor
    """[N, 3, R, R] in [-1, 1]."""
    valid: Tensor | None
    """[N, 1, R, R] in [0, 1]; None where none was given."""
    moved: tuple[float, ...]
    """How far that landmark of each was moved which moved most, in units of the side; 0: the image is as it was."""


def register(images: Tensor, valid: Tensor | None, generator: Generator, codes: Codes, *, shape: float = 0.0) -> Registered:
    """Warp references `images` [N, 3, R, R] with codes [N] so that their landmarks lie where the base model draws them.

    `valid` [N, 1, R, R] moves along. `shape` is how much of their own shape references keep: 0 fully registered, 1 unchanged.
    References stay as they are where no landmark is `LEAST` away, and where one is so far away that the two cannot be the same
    face: there the code says nothing of the reference.
    """
    warped, inside, moved = list(images), None if valid is None else list(valid), [0.0] * len(images)
    if shape < 1:
        own, wanted = find_landmarks(images), rendered_landmarks(generator, codes)
        for i, image in enumerate(images):
            start, to = _control_points(own, wanted, i, 1 - shape)
            most = float((to - start).norm(dim=1).max())
            if not LEAST <= most < _MOST:
                continue
            moved[i] = most
            warped[i] = _warped(image, start, to, "bicubic").clamp(-1, 1)
            if inside is not None:
                inside[i] = _warped(inside[i], start, to, "bilinear").clamp(0, 1)
    return Registered(torch.stack(warped), None if inside is None else torch.stack(inside), tuple(moved))


def _control_points(own: Landmarks, wanted: Landmarks, index: int, share: float) -> tuple[Tensor, Tensor]:
    """Places of one reference's landmarks, and where they are to be, [K, 2] each."""
    start, to = own.points[index], wanted.points[index]
    rim, rim_to = own.outline[index], wanted.outline[index]
    known = (rim_to - rim).norm(dim=1) < _MOST  # False for NaN
    ring = torch.tensor([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64) * _RING
    starts = torch.cat([(start[:, None] + ring).flatten(0, 1), rim[known]])
    shifts = torch.cat([(to - start).repeat_interleave(len(ring), dim=0), (rim_to - rim)[known]])
    return starts, starts + share * shifts


def _warped(image: Tensor, start: Tensor, to: Tensor, mode: str) -> Tensor:
    """An image [C, S, S] with what lies at `start` [K, 2] moved to `to`; its border stays."""
    size = image.shape[-1]
    edge = torch.arange(_FEW_PER_SIDE, dtype=torch.float64) / _FEW_PER_SIDE
    zero, one = torch.zeros_like(edge), torch.ones_like(edge)
    border = torch.cat([torch.stack(s, dim=1) for s in ((edge, zero), (one, edge), (1 - edge, one), (zero, 1 - edge))])
    at = torch.cat([to, border])
    spline = ThinPlateSpline.through(at, torch.cat([start, border]) - at, _SMOOTHING)
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    y, x = torch.meshgrid(place, place, indexing="ij")
    places = torch.stack([x, y], dim=-1)
    grid = ((places + spline(places.reshape(-1, 2)).reshape(places.shape)) * 2 - 1).float()
    return F.grid_sample(image[None].cpu().float(), grid[None], mode=mode, padding_mode="reflection", align_corners=False)[
        0
    ].to(image)


@dataclass(frozen=True)
class ThinPlateSpline:
    """A smooth function of the plane, [M, 2] -> [M, D]: an affine part and r^2 log r around its knots."""

    knots: Tensor
    weights: Tensor
    affine: Tensor

    @classmethod
    def through(cls, knots: Tensor, values: Tensor, smoothing: float = 0.0) -> ThinPlateSpline:
        """The spline with `values` [K, D] at `knots` [K, 2] float64; with `smoothing` it comes near them."""
        count = len(knots)
        around = _bending(torch.cdist(knots, knots)) + smoothing * torch.eye(count, dtype=knots.dtype)
        plane = torch.cat([torch.ones(count, 1, dtype=knots.dtype), knots], dim=1)
        system = torch.cat([
            torch.cat([around, plane], dim=1),
            torch.cat([plane.T, torch.zeros(3, 3, dtype=knots.dtype)], dim=1),
        ])  # fmt: skip
        found = torch.linalg.solve(system, torch.cat([values, torch.zeros(3, values.shape[1], dtype=values.dtype)]))
        return cls(knots, found[:count], found[count:])

    def __call__(self, places: Tensor) -> Tensor:
        plane = torch.cat([torch.ones(len(places), 1, dtype=places.dtype), places], dim=1)
        return _bending(torch.cdist(places, self.knots)) @ self.weights + plane @ self.affine


def _bending(distance: Tensor) -> Tensor:
    return torch.where(distance > 0, distance.square() * distance.clamp_min(1e-12).log(), 0.0)
