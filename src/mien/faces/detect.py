"""Faces in an image: dlib's frontal HOG detector (Dalal & Triggs 2005, King 2015), and five points by our own network.

The detector sees upright faces, up to about 40 degrees askew, of 80 pixels or more. So small images are enlarged and large
ones reduced; where nothing is found, the image is looked at once more turned by quarter turns, with a margin around it (for
faces that fill it) and in more detail, and at last with a lower threshold. The points decide what is a face and what not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.checkpoint.face_networks import read_landmark_network
from mien.errors import FaceNotFoundError, InputError
from mien.faces.align import CropFrame, ffhq_frame
from mien.faces.config import WhichFaces
from mien.faces.dlib_detector import frontal_detector
from mien.faces.five_points import find_points, seen_crop
from mien.media.eight_bit import to_uint8
from mien.models.landmarks import LandmarkNetwork

_USUAL_SIDE = (800, 1800)  # longer side that the detector looks at: smaller images are enlarged, larger ones reduced
_DETAILED_SIDE = (1600, 3400)
_TINY_SIDE = (2400, 2400)
_BOX_TO_FRAME = 1.85  # side of the FFHQ crop in units of the detector's box, on average
_BOX_ABOVE = 0.17  # how far the crop's center lies above the box's, in units of the box
_SURE, _UNSURE = -0.2, -0.4  # scores of the detector: at the first looks, at the last one (its own threshold is 0)
_AS_SEEN = 0.7  # how far the crop lies from that by formula towards that as seen
_LARGER = 1.01  # the network takes faces for a hundredth too small: the mean of 40 held-out photos
_SAME_FACE = 0.3  # intersection over union of two boxes


@dataclass(frozen=True)
class Face:
    """One face of an image, in the image's pixel coordinates."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the detector's square: brows to chin."""
    landmarks: Tensor
    """[5, 2] float64: eye centers (image left first as the upright face is seen), nose tip, mouth corners (left first)."""
    score: float
    """How sure the detector is: above 1 very, below 0 not."""
    turn: int = 0
    """Quarter turns clockwise that brought the face upright: 0 to 3."""
    crop: CropFrame | None = None
    """The FFHQ crop as the network sees it from the face as a whole; None where only the points are known."""

    @property
    def side(self) -> float:
        """Side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def frame(self) -> CropFrame:
        """The face's FFHQ crop: partly by formula from the points, partly as seen; drawings often have no human proportions."""
        return ffhq_frame(self.landmarks) if self.crop is None else combined_square(self.landmarks, self.crop)


def combined_square(landmarks: Tensor, seen: CropFrame) -> CropFrame:
    """The FFHQ crop of five points [5, 2], and of the crop as the network sees it from the face as a whole."""
    return _between(ffhq_frame(landmarks), seen, _AS_SEEN).scaled(_LARGER)


@dataclass(frozen=True)
class _Box:
    center: tuple[float, float]
    side: float
    score: float


def find_faces(rgb: Tensor, network: LandmarkNetwork | None = None) -> list[Face]:
    """All faces of an image [3, H, W] in [-1, 1], the largest first; an empty list where there is none.

    `network` finds the five points; None: mien's own.
    """
    if rgb.ndim != 3 or rgb.shape[0] != 3:
        raise ValueError(f"rgb must be [3, H, W], got {list(rgb.shape)}")
    network = network or read_landmark_network()
    for look in (_usual_look, _turned_look, _margin_look, _detailed_look, _unsure_look):
        faces = look(rgb, network)
        if faces:
            return sorted(_without_doubles(faces), key=lambda face: -face.side)
    return []


def too_small(rgb: Tensor, network: LandmarkNetwork | None = None) -> float | None:
    """The side of the largest face's crop in an image [3, H, W] where `find_faces` finds none; None: nowhere.

    Looked for in small images alone, enlarged once more: such a face has too few pixels to be redrawn.
    """
    if max(rgb.shape[1:]) > _DETAILED_SIDE[0]:
        return None
    faces = _faces(rgb, network or read_landmark_network(), 0, sides=_TINY_SIDE)
    return max((face.frame().side for face in faces), default=None)


def _usual_look(rgb: Tensor, network: LandmarkNetwork) -> list[Face]:
    upright = _faces(rgb, network, 0)
    # A weak detection may be a pattern in an image that lies on its side: see whether it is better another way round.
    if upright and max(face.score for face in upright) < 0.5:
        turned = _turned_look(rgb, network)
        if turned and max(face.score for face in turned) > max(face.score for face in upright) + 0.5:
            return turned
    return upright


def _turned_look(rgb: Tensor, network: LandmarkNetwork) -> list[Face]:
    ways = [_faces(rgb, network, turn) for turn in (1, 3, 2)]
    return max(ways, key=lambda faces: max((face.score for face in faces), default=-9.0))


def _margin_look(rgb: Tensor, network: LandmarkNetwork) -> list[Face]:
    return _faces(rgb, network, 0, margin=0.3)


def _detailed_look(rgb: Tensor, network: LandmarkNetwork) -> list[Face]:
    return _faces(rgb, network, 0, sides=_DETAILED_SIDE)


def _unsure_look(rgb: Tensor, network: LandmarkNetwork) -> list[Face]:
    return _faces(rgb, network, 0, threshold=_UNSURE) or _faces(rgb, network, 0, threshold=_UNSURE, margin=0.3)


def _faces(
    rgb: Tensor,
    network: LandmarkNetwork,
    turn: int,
    *,
    sides: tuple[int, int] = _USUAL_SIDE,
    threshold: float = _SURE,
    margin: float = 0.0,
) -> list[Face]:
    """Look at the image after `turn` clockwise quarter turns, with a margin in units of its size around it."""
    height, width = rgb.shape[1:]
    faces = []
    for box in _boxes(torch.rot90(rgb, -turn, (1, 2)) if turn else rgb, sides, threshold, margin):
        x, y = _turn_back(torch.tensor([box.center], dtype=torch.float64), turn, width, height)[0].tolist()
        # The crop's own axes are turned, so that the network sees the face upright.
        points = find_points(rgb, _guessed_square((x, y), box.side, -90.0 * turn), network)
        if points is not None:
            half = box.side / 2
            around = (x - half, y - half, x + half, y + half)
            faces.append(Face(around, points[:5], box.score, turn, seen_crop(points)))
    return faces


def _turn_back(points: Tensor, turn: int, width: int, height: int) -> Tensor:
    """Points of the image after `turn` clockwise quarter turns -> points of the image of `width` x `height`."""
    x, y = points.unbind(dim=-1)
    if turn == 1:
        return torch.stack([y, height - x], dim=-1)
    if turn == 2:
        return torch.stack([width - x, height - y], dim=-1)
    if turn == 3:
        return torch.stack([width - y, x], dim=-1)
    return points


def _boxes(rgb: Tensor, sides: tuple[int, int], threshold: float, margin: float) -> list[_Box]:
    """The detection in coordinates of the image."""
    height, width = rgb.shape[1:]
    longer = max(height, width)
    scale = min(max(longer, sides[0]), sides[1]) / longer
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if size != (height, width):
        rgb = F.interpolate(rgb[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    pad = round(margin * max(size))
    if pad:
        rgb = F.pad(rgb, (pad, pad, pad, pad), mode="replicate")
    pixels = to_uint8(rgb).permute(1, 2, 0).contiguous().numpy()
    found, scores, _ = frontal_detector().run(np.ascontiguousarray(pixels), 0, threshold)
    return [
        _Box(
            (
                ((box.left() + box.right() + 1) / 2 - pad) * width / size[1],
                ((box.top() + box.bottom() + 1) / 2 - pad) * height / size[0],
            ),
            box.width() / scale,
            float(score),
        )
        for box, score in zip(found, scores, strict=True)
    ]


def quick_look(pixels: NDArray[np.uint8]) -> list[CropFrame]:
    """About where the upright faces of an image [H, W, 3] are, as FFHQ crops, by one look of the detector at it as it is."""
    found, _, _ = frontal_detector().run(np.ascontiguousarray(pixels), 0, _SURE)
    middles = [((box.left() + box.right() + 1) / 2, (box.top() + box.bottom() + 1) / 2) for box in found]
    return [_guessed_square(middle, box.width()) for middle, box in zip(middles, found, strict=True)]


def _guessed_square(center: tuple[float, float], side: float, angle: float = 0.0) -> CropFrame:
    """The FFHQ crop of a face in the detector's box, on average."""
    return CropFrame(center, side * _BOX_TO_FRAME, angle).moved(0.0, -_BOX_ABOVE / _BOX_TO_FRAME)


def _between(one: CropFrame, other: CropFrame, share: float) -> CropFrame:
    """The crop between two that differ little, `share` of the way to the other."""
    turn = (other.angle - one.angle + 180) % 360 - 180
    x, y = (a + (b - a) * share for a, b in zip(one.center, other.center, strict=True))
    return CropFrame((x, y), one.side + (other.side - one.side) * share, one.angle + turn * share)


def _without_doubles(faces: list[Face]) -> list[Face]:
    """Keep the surest of those whose boxes overlap, or whose points are the same face's."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face.box, other.box) < _SAME_FACE and not _same_points(face, other) for other in kept):
            kept.append(face)
    return kept


def _same_points(one: Face, other: Face) -> bool:
    distance = float((one.landmarks - other.landmarks).norm(dim=-1).mean())
    return distance < 0.1 * max(one.frame().side, other.frame().side)


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / (area - shared)


def choose(
    faces: Sequence[Face],
    which: WhichFaces | int = "largest",
    *,
    name: str = "the image",
) -> list[Face]:
    """The faces to process: "largest", "all", or one by its number from 1 (the largest), as `find_faces` orders them.

    `name` is the image in messages. Raises FaceNotFoundError when there is none, InputError for a number that does not exist.
    """
    if not faces:
        raise FaceNotFoundError(
            f"No face was found in {name}: give `aligned` if it is a face crop already, `box` x,y,side for the square around "
            "the head, or `landmarks` for five points by hand."
        )
    if which == "all":
        return list(faces)
    if which == "largest":
        return [faces[0]]
    if not 1 <= which <= len(faces):
        raise InputError(f"There is no face {which} in {name}: {len(faces)} found, numbered from 1 (the largest).")
    return [faces[which - 1]]
