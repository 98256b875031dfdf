"""Five points of a face by our own network: eyes, nose tip, mouth corners; and the FFHQ crop as the network sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_landmark_network
from mien.faces.align import CropFrame, extract
from mien.models.landmarks import LandmarkNetwork

# Where the points are looked for, around a guess: right and down in units of its side, and larger by a factor.
_FIRST_LOOKS = ((0.0, 0.0, 1.0), (-0.06, 0.03, 1.1), (0.06, 0.03, 0.92), (0.0, -0.06, 1.0))
_NEXT_LOOKS = ((-0.02, 0.0, 1.0), (0.02, 0.0, 1.0), (0.0, -0.02, 1.04), (0.0, 0.02, 0.96))
_LOOKS_BESIDE = ((-0.09, 0.0), (0.09, 0.0), (0.0, -0.09), (0.0, 0.09))
_ENOUGH = 4  # pixels of the image per pixel that the network sees, which are left when a face is made smaller
_MOST_MOVED = 0.02  # of the side, by looks from beside: faces and drawings stayed below 0.014, anything else was above 0.026
_SOFT = 3.5  # pixels of a softened look that become one
_BRIGHT = 0.5  # exponent that brightens a look: what is darker than the middle most


def find_landmarks(rgb: Tensor, start: CropFrame, network: LandmarkNetwork | None = None) -> Tensor | None:
    """Five points [5, 2] of the face that lies about where `start`, a guess of its FFHQ crop, says.

    None where no face is: looks from beside a face agree about its points, looks at anything else move the points along.
    """
    points = find_points(rgb, start, network or read_landmark_network())
    return None if points is None else points[:5]


def find_points(rgb: Tensor, start: CropFrame, network: LandmarkNetwork) -> Tensor | None:
    """The network's seven points [7, 2] in photo coordinates: those of `find_landmarks`, and the two of the crop."""
    factor = int(start.side / (_ENOUGH * network.config.size))
    if factor > 1:
        # A large face is made smaller once, not for each look.
        height, width = rgb.shape[1:]
        x, y = (max(0, math.floor(v - 1.5 * start.side)) for v in start.center)
        right, bottom = (math.ceil(v + 1.5 * start.side) for v in start.center)
        x, y = min(x, width - factor), min(y, height - factor)
        small = F.avg_pool2d(rgb[:, y:bottom, x:right], factor)
        center = ((start.center[0] - x) / factor, (start.center[1] - y) / factor)
        found = find_points(small, CropFrame(center, start.side / factor, start.angle), network)
        return None if found is None else found * factor + torch.tensor([x, y])
    frame, points = start, torch.empty(0)
    for offsets in (_FIRST_LOOKS, _NEXT_LOOKS, _NEXT_LOOKS):
        points = _look(rgb, [frame.moved(dx, dy).scaled(factor) for dx, dy, factor in offsets], network)
        middle = seen_crop(points.median(dim=0).values)
        if not 0.4 < middle.side / start.side < 2.5:
            return None
        frame = middle
    beside = _look(rgb, [frame.moved(dx, dy) for dx, dy in _LOOKS_BESIDE], network)[:, :5]
    moved = float((beside - beside.mean(dim=0)).norm(dim=-1).mean())
    found = points.mean(dim=0)
    return found if moved < _MOST_MOVED * frame.side and are_plausible(found, start) else None


def crop_points(crops: Tensor, network: LandmarkNetwork | None = None) -> Tensor:
    """The five points of FFHQ crops [N, 3, S, S] in [-1, 1] as [N, 5, 2] float32, in units of their side.

    Whether a face is there is not asked: the crops are known to show one.
    """
    network, side = network or read_landmark_network(), crops.shape[-1]
    found = [_look(crop, [CropFrame((side / 2, side / 2), side)], network)[0, :5] for crop in crops]
    return torch.stack(found).float() / side


def seen_crop(points: Tensor) -> CropFrame:
    """The FFHQ crop whose center and right edge's middle are the last two of seven points."""
    center, right = points[5].tolist(), points[6].tolist()
    x, y = right[0] - center[0], right[1] - center[1]
    return CropFrame((center[0], center[1]), 2 * math.hypot(x, y), math.degrees(math.atan2(y, x)))


def are_plausible(points: Tensor, start: CropFrame) -> bool:
    """Whether the points are arranged like a face's, not turned away from the guess by more than the detector can be wrong."""
    frame = seen_crop(points)
    left, right, nose, mouth_left, mouth_right = frame.to_crop(1)(points[:5]).tolist()
    turned = abs((frame.angle - start.angle + 180) % 360 - 180)
    eyes, mouth = (left[1] + right[1]) / 2, (mouth_left[1] + mouth_right[1]) / 2
    return turned < 65 and left[0] < right[0] and mouth_left[0] < mouth_right[0] and eyes < nose[1] < mouth + 0.03


def _look(rgb: Tensor, frames: Sequence[CropFrame], network: LandmarkNetwork) -> Tensor:
    """One set of points [7, 2] in photo coordinates per frame, each the mean of several looks at the crop: [N, 7, 2].

    The crop and its mirror image are looked at as they are, softened, and softened and brightened: the lines of a drawing are
    harder, and its shadows darker, than those of the photos that the network learned from.
    """
    size = network.config.size
    windows = [frame.scaled(network.config.field) for frame in frames]
    crops = torch.stack([extract(rgb, window, size)[0] for window in windows])
    bright = ((crops + 1) / 2).clamp(0, 1) ** _BRIGHT * 2 - 1
    variants = (crops, _softened(crops), _softened(bright))
    with torch.no_grad():
        looks = torch.stack([network(torch.cat([variant, variant.flip(3)])) for variant in variants])
    points = with_mirrored(looks.double().mean(dim=0))
    return torch.stack([w.to_photo(1)(p) for w, p in zip(windows, points, strict=True)])


def with_mirrored(points: Tensor) -> Tensor:
    """The network's points [2 N, 7, 2] to N crops and to their mirror images, as the mean of both: [N, 7, 2] in the crops."""
    seen, mirrored = points.chunk(2)
    # In the mirror left is right; the middle of the right edge is that of the left one: as far beyond the center.
    mirrored = torch.stack([1.0 - mirrored[..., 0], mirrored[..., 1]], dim=-1)[:, [1, 0, 2, 4, 3, 5, 6]]
    mirrored[:, 6] = 2 * mirrored[:, 5] - mirrored[:, 6]
    return (seen + mirrored) / 2


def _softened(crops: Tensor) -> Tensor:
    """Square crops [N, C, S, S] in [-1, 1] without their fine lines."""
    side = round(crops.shape[-1] / _SOFT)
    small = F.interpolate(crops, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, size=crops.shape[-2:], mode="bicubic", align_corners=False).clamp(-1, 1)
