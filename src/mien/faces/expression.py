"""Where a face looks and what its mouth does, measured in an aligned crop; also in drawings and from 64 pixels on.

The landmark network says where eyes and mouth are, what lies there says the rest. Irises are the darkest round things between
lids. Both eyes look the same way but are each other's mirror image, so their images, put on top of each other, leave the
irises and smear lashes, corners and shadows; mean shift (Comaniciu & Meer 2002) walks to the middle of what is dark there, and
to that of all that is not skin: the opening, for the network's own points of the eyes follow the irises. The mouth's corners
are two of the network's points; between them, what is darker than skin in all three colors, or paler than it, is no lip but
the open mouth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.five_points import crop_points
from mien.models.landmarks import LandmarkNetwork

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601
_LEAST_SIDE = 64
# All lengths are in units of the distance between the eyes.
_EYE_WINDOW, _EYE_PIXELS = (0.36, 0.24), (48, 72)  # half width and half height; rows and columns
_EYE_OPENING = (0.15, 0.08)  # standard deviations of where darkness is compared
_IRIS, _IRIS_REACH, _OPENING = (0.1, 0.08), (0.25, 0.125), (0.2, 0.1)  # kernels of mean shift; how far out an iris may be
_SHIFTS = 6
_DISTINCT, _FLAT = 0.3, 0.02  # contrast, as a share of the eye's, that is not skin; least contrast, of 2
_EYE, _EDGE = (0.26, 0.15), 1.4  # half width and height of an eye in its region; where its soft edge ends, of these
_MOUTH_WINDOW, _MOUTH_PIXELS = (0.5, 0.4), (48, 60)
_LIPS = (0.15, 0.16)  # standard deviations of where the mouth is looked into


@dataclass(frozen=True)
class Expression:
    """Gaze and mouth of N faces, in units of the distance between the eyes."""

    gaze: Tensor
    """[N, 2]: how far right (in the image) and down the irises lie from the middles of their eyes, both eyes averaged."""
    mouth: Tensor
    """[N, 3]: distance of its corners; height of what is dark or paler than skin between the lips; how far its middle lies
    below its corners (more than usual: a smile)."""


@dataclass(frozen=True)
class ExpressionDistance:
    """How differently N pairs of faces look and hold their mouths, [N] each, in units of the distance between the eyes."""

    gaze: Tensor
    mouth: Tensor


def measure_expression(crops: Tensor, network: LandmarkNetwork | None = None) -> Expression:
    """Measure FFHQ crops [N, 3, S, S] in [-1, 1] with S from 64; each image alone, whatever the batch.

    `network` finds the points; None: mien's own. Raises `ValueError` for images of another shape.
    """
    if crops.ndim != 4 or crops.shape[1] != 3 or crops.shape[2] != crops.shape[3] or crops.shape[3] < _LEAST_SIDE:
        raise ValueError(f"crops must be [N, 3, S, S] with S from {_LEAST_SIDE}, got {list(crops.shape)}")
    crops = crops.detach().float().cpu().clamp(-1, 1)
    points = crop_points(crops, network)
    across = points[:, 1] - points[:, 0]  # [N, 2]: from eye to eye, the unit of length
    gray = (crops * torch.tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    eyes = [_cut_out(gray, points[:, k], across, _EYE_WINDOW, _EYE_PIXELS) for k in (0, 1)]
    corners = points[:, 3], points[:, 4]
    mouth = _cut_out(crops, (corners[0] + corners[1]) / 2, across, _MOUTH_WINDOW, _MOUTH_PIXELS)
    width = (corners[1] - corners[0]).norm(dim=1) / across.norm(dim=1)
    return Expression(_gaze(eyes), torch.stack([width, *_mouth(mouth)], dim=1))


def expression_distance(one: Expression, other: Expression) -> ExpressionDistance:
    """How far the faces of `one` are from those of `other`, pair by pair (Euclidean distance of each measure)."""
    return ExpressionDistance((one.gaze - other.gaze).norm(dim=1), (one.mouth - other.mouth).norm(dim=1))


def expression_region(crops: Tensor, network: LandmarkNetwork | None = None) -> Tensor:
    """Where FFHQ crops [N, 3, S, S] show gaze and expression: [N, 1, S, S], 1 in eyes and mouth, 0 elsewhere, soft between."""
    points, side = crop_points(crops.detach().float().cpu(), network), crops.shape[-1]
    centers = torch.stack([points[:, 0], points[:, 1], (points[:, 3] + points[:, 4]) / 2], dim=1)  # [N, 3, 2]
    across = points[:, 1] - points[:, 0]
    unit, axis = across.norm(dim=1), F.normalize(across, dim=1)
    pixels = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(pixels, pixels, indexing="ij")
    away = torch.stack([x, y], dim=-1) - centers[:, :, None, None]  # [N, 3, S, S, 2]
    right = (away * axis[:, None, None, None]).sum(dim=-1)
    down = (away * torch.stack([-axis[:, 1], axis[:, 0]], dim=1)[:, None, None, None]).sum(dim=-1)
    wide = (points[:, 4] - points[:, 3]).norm(dim=1) / unit / 2
    halves = torch.stack([torch.full_like(wide, _EYE[0])] * 2 + [wide], dim=1), torch.tensor([_EYE[1], _EYE[1], _LIPS[1]])
    scale = unit[:, None, None, None]
    distance = ((right / scale / halves[0][..., None, None]) ** 2 + (down / scale / halves[1][:, None, None]) ** 2).sqrt()
    inside: Tensor = ((_EDGE - distance) / (_EDGE - 1)).clamp(0, 1)
    return inside.amax(dim=1, keepdim=True)


def _cut_out(images: Tensor, center: Tensor, across: Tensor, half: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Windows [N, C, *size] of images [N, C, S, S] around `center` [N, 2], with `across` [N, 2] as x axis and unit."""
    x, y = _grid(half, size)
    down = torch.stack([-across[:, 1], across[:, 0]], dim=1)
    where = center[:, None, None] + x[None, ..., None] * across[:, None, None] + y[None, ..., None] * down[:, None, None]
    return F.grid_sample(images, where * 2 - 1, mode="bicubic", padding_mode="border", align_corners=False)


def _grid(half: tuple[float, float], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """x and y [h, w] of a window's pixels, from its middle."""
    across, down = (((torch.arange(n) + 0.5) / n * 2 - 1) * h for n, h in zip(size[::-1], half, strict=True))
    y, x = torch.meshgrid(down, across, indexing="ij")
    return x, y


def _bell(x: Tensor, y: Tensor, width: tuple[float, float]) -> Tensor:
    return torch.exp(-(x**2) / (2 * width[0] ** 2) - y**2 / (2 * width[1] ** 2))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the last two dimensions, which stay with size 1; 0 where all weights are 0."""
    return (values * weights).sum(dim=(-2, -1), keepdim=True) / weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-9)


def _gaze(eyes: list[Tensor]) -> Tensor:
    """How far the middle of the irises lies from that of the opening [N, 2] in windows [N, 1, h, w] of the eyes."""
    x, y = _grid(_EYE_WINDOW, _EYE_PIXELS)
    middle, dark, distinct = _bell(x, y, _EYE_OPENING), torch.zeros(()), torch.zeros(())
    for eye in eyes:  # each in its own contrast
        gap = eye - _mean(eye, middle)
        dark = dark - gap / (_mean(gap**2, middle).sqrt() + _FLAT)
        skin = (eye - eye.flatten(1).median(dim=1).values[:, None, None, None]).abs()
        distinct = distinct + (skin / (_DISTINCT * _mean(skin**2, middle).sqrt() + _FLAT)).clamp(max=1)
    irises = _walk(F.relu(dark[:, 0]) ** 2 * _bell(x, y, _IRIS_REACH), x, y, _IRIS)
    return irises - _walk(distinct[:, 0] ** 2, x, y, _OPENING)


def _walk(weights: Tensor, x: Tensor, y: Tensor, kernel: tuple[float, float]) -> Tensor:
    """Where mean shift through `weights` [N, h, w] gets from the middle of the window: [N, 2]."""
    at_x = at_y = torch.zeros(len(weights), 1, 1)
    for _ in range(_SHIFTS):
        near = weights * _bell(x - at_x, y - at_y, kernel)
        at_x, at_y = _mean(x, near), _mean(y, near)
    return torch.cat([at_x[:, 0], at_y[:, 0]], dim=1)


def _mouth(windows: Tensor) -> tuple[Tensor, Tensor]:
    """How high the mouth is open, and how far its middle lies below its corners, [N] each, in windows [N, 3, h, w]."""
    x, y = _grid(_MOUTH_WINDOW, _MOUTH_PIXELS)
    lips = _bell(x, y, _LIPS)
    color = F.avg_pool2d((windows + 1) / 2, 3, 1, 1, count_include_pad=False)
    value = color.amax(dim=1)  # lips are red: no darker than skin by their strongest color, unlike what is between them
    gray = (color * torch.tensor(_LUMA)[:, None, None]).sum(dim=1)
    saturation = (value - color.amin(dim=1)) / (value + 0.05)
    skin, skin_gray, skin_saturation = (m.flatten(1).median(dim=1).values[:, None, None] for m in (value, gray, saturation))
    dark = ((0.7 * skin - value) / (0.2 * skin + 0.02)).clamp(0, 1)
    pale = ((0.75 * skin_saturation - saturation) / (0.25 * skin_saturation + 0.05)).clamp(0, 1)
    teeth = pale * ((gray - 0.7 * skin_gray) / (0.2 * skin_gray + 0.02)).clamp(0, 1)
    height = _LIPS[1] * math.sqrt(2 * math.pi)  # what the bell weighs, as a height
    opening = height * _mean((dark + teeth).clamp(max=1), lips)[:, 0, 0]
    steps = (gray[:, 2:] - gray[:, :-2]) ** 2 * lips[1:-1]
    return opening, _mean(y[1:-1], steps)[:, 0, 0]
