"""The FFHQ crop as one affine map, and other square crops; reading a crop from a photo.

The crop's formula is that of Karras et al. 2019 (FFHQ), from eye centers and mouth corners: center a tenth of the way from the
eyes to the mouth, half side max(2.0 * eye distance, 1.8 * eye-mouth distance), x axis between that of the eyes and that at
right angles to the line from eyes to mouth.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mien.errors import InputError, shown
from mien.faces.warp import Affine, blur, warp
from mien.files import read_text

FARTHEST = 1e6
"""Coordinates beyond this are of no image."""

_MOST_TEXT = 1 << 20
_FADE = 0.35  # of the side: how far outside the image only its median color is left
_BLUR = 0.02  # of the side: standard deviation of the blur outside the image (as in FFHQ)


@dataclass(frozen=True)
class CropFrame:
    """A square in photo coordinates, possibly turned: center, side in photo pixels, and direction of its x axis.

    The y axis is the x axis turned by 90 degrees (down, for an upright crop).
    """

    center: tuple[float, float]
    side: float
    angle: float = 0.0
    """Direction of the x axis in degrees; positive turns from x to y: clockwise, as seen."""

    @property
    def x_axis(self) -> tuple[float, float]:
        """Unit vector along the crop's upper edge, left to right."""
        return math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))

    @property
    def y_axis(self) -> tuple[float, float]:
        """Unit vector along the crop's left edge, top to bottom."""
        x, y = self.x_axis
        return -y, x

    def corners(self) -> Tensor:
        """[4, 2] photo coordinates: top left, top right, bottom right, bottom left of the crop."""
        return self.to_photo(1)(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64))

    def to_photo(self, size: int) -> Affine:
        """The map from a crop of `size` x `size` pixels to photo coordinates."""
        step = self.side / size
        (ax, ay), (bx, by) = self.x_axis, self.y_axis
        half = self.side / 2
        return Affine(
            ax * step, bx * step, self.center[0] - half * (ax + bx), ay * step, by * step, self.center[1] - half * (ay + by)
        )

    def to_crop(self, size: int) -> Affine:
        """The map from photo coordinates to a crop of `size` x `size` pixels."""
        return self.to_photo(size).inverse()

    def moved(self, right: float, down: float) -> CropFrame:
        """The frame moved along its own axes, in units of its side."""
        (ax, ay), (bx, by) = self.x_axis, self.y_axis
        x, y = self.center
        center = (x + self.side * (right * ax + down * bx), y + self.side * (right * ay + down * by))
        return CropFrame(center, self.side, self.angle)

    def scaled(self, factor: float) -> CropFrame:
        """The frame with the same center and direction, `factor` times as wide."""
        return CropFrame(self.center, self.side * factor, self.angle)


def ffhq_frame(landmarks: Tensor) -> CropFrame:
    """The FFHQ crop of five points [5, 2] in photo coordinates: eyes (image left first), nose, mouth corners (left first)."""
    points = check_landmarks(landmarks)
    left, right, _, mouth_left, mouth_right = points.tolist()
    eyes = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    across = (right[0] - left[0], right[1] - left[1])
    down = ((mouth_left[0] + mouth_right[0]) / 2 - eyes[0], (mouth_left[1] + mouth_right[1]) / 2 - eyes[1])
    x_axis = (across[0] + down[1], across[1] - down[0])
    half = max(2.0 * math.hypot(*across), 1.8 * math.hypot(*down))
    if half < 1.0 or math.hypot(*x_axis) < 1e-6:
        raise InputError("The five landmarks lie in one place or cancel out: give eye centers, nose and mouth corners.")
    angle = math.degrees(math.atan2(x_axis[1], x_axis[0]))
    return CropFrame((eyes[0] + 0.1 * down[0], eyes[1] + 0.1 * down[1]), 2.0 * half, angle)


def check_landmarks(landmarks: Tensor) -> Tensor:
    """The landmarks as [5, 2] float64; raises ValueError for another shape, InputError for numbers that are not finite."""
    if landmarks.shape != (5, 2):
        raise ValueError(f"landmarks must be [5, 2], got {list(landmarks.shape)}")
    if not bool(landmarks.isfinite().all()) or float(landmarks.abs().max()) > FARTHEST:
        raise InputError("The landmarks hold a number that is not finite, or of no image: give five points in pixels of it.")
    return landmarks.to(torch.float64)


def frame_from_box(x: float, y: float, side: float) -> CropFrame:
    """The upright square with its top left corner at (x, y), in photo pixels (`--box`)."""
    if not (max(abs(x), abs(y), side) <= FARTHEST and side >= 1.0):  # also where one is no number at all
        raise InputError(f"The box {x:g},{y:g},{side:g} is not a square of at least one pixel: give x,y,side in pixels.")
    return CropFrame((x + side / 2, y + side / 2), float(side))


def whole_frame(width: int, height: int) -> CropFrame:
    """The largest centered square of an image: all of it, where it is square (`--aligned`)."""
    return CropFrame((width / 2, height / 2), float(min(width, height)))


def extract(rgb: Tensor, frame: CropFrame, size: int) -> tuple[Tensor, Tensor]:
    """Read a crop of `size` pixels from an image [3, H, W].

    Returns the crop [3, size, size], and [1, size, size] in [0, 1]: how much of each pixel lies inside the image. Outside it
    the crop holds the image's mirror image, more and more blurred and faded to the median color (as in FFHQ).
    """
    if rgb.ndim != 3 or rgb.shape[0] != 3:
        raise ValueError(f"rgb must be [3, H, W], got {list(rgb.shape)}")
    to_photo = frame.to_photo(size)
    crop = warp(rgb, to_photo, size, size).clamp(-1, 1)
    outside = distance_outside(frame, size, rgb.shape[2], rgb.shape[1])
    step = frame.side / size
    valid = (0.5 - outside / step).clamp(0, 1)
    if bool((valid < 1).any()):
        depth = (outside / frame.side).clamp(min=0)
        inside = crop[:, valid[0] > 0.5]
        middle = inside.median(dim=1).values if inside.shape[1] else rgb.flatten(1).median(dim=1).values
        crop = torch.lerp(crop, blur(crop, max(0.5, _BLUR * size)), (depth * 20).clamp(max=1))
        crop = torch.lerp(crop, middle[:, None, None].expand_as(crop), (depth / _FADE).clamp(max=1))
    return crop, valid


def distance_outside(frame: CropFrame, size: int, width: int, height: int) -> Tensor:
    """[1, size, size]: how far, in photo pixels, each crop pixel's center lies outside the image; negative inside."""
    centers = torch.arange(size, dtype=torch.float64) + 0.5
    grid = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), dim=-1)
    x, y = frame.to_photo(size)(grid).unbind(dim=-1)
    return torch.stack([-x, x - width, -y, y - height]).amax(dim=0)[None].float()


# The five points of the 68 of iBUG 300-W (Sagonas et al. 2013): means of the eyes' six points, nose tip, mouth corners.
_OF_68 = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))


def five_of_68(points: Tensor) -> Tensor:
    """[68, 2] in iBUG's (dlib's) order -> [5, 2]."""
    return torch.stack([points[list(indices)].mean(dim=0) for indices in _OF_68])


def parse_landmarks(text: str) -> Tensor:
    """Landmarks by hand -> [5, 2] in photo pixels.

    `text` is five points "x,y x,y x,y x,y x,y" (eyes, nose, mouth corners; image left first), or the name of a file with five
    or 68 points: iBUG's .pts, lines of numbers, or JSON (pairs or numbers in a list, bare or under "landmarks" or "points").
    """
    path = Path(text)
    is_file = not re.fullmatch(r"[\d\s.,;:+\-eE()\[\]]*", text)
    if is_file:
        try:
            content = read_text(path, most=_MOST_TEXT)
        except InputError as error:
            raise InputError(
                f'{text} is neither five points ("x,y x,y x,y x,y x,y") nor a readable file of landmarks: check it.'
            ) from error
    else:
        content = text
    try:
        numbers = _numbers(content)
    except (ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{text} does not hold landmarks ({shown(error)}): give 5 or 68 points as x,y.") from error
    if len(numbers) not in (10, 136):
        raise InputError(f"{text} holds {len(numbers) / 2:g} points where 5 or 68 are needed: give x,y for each of them.")
    points = torch.tensor(numbers, dtype=torch.float64).reshape(-1, 2)
    return check_landmarks(points if len(points) == 5 else five_of_68(points))


def _numbers(content: str) -> list[float]:
    stripped = content.strip()
    if stripped.startswith("[[") or (stripped.startswith(("[", "{")) and '"' in stripped):
        document = json.loads(stripped)
        while isinstance(document, dict):
            key = next((name for name in ("landmarks", "points") if name in document), None)
            if key is None:
                raise ValueError('no "landmarks" or "points" in it')
            document = document[key]
        return _flatten(document)
    # iBUG's .pts: a header, then the points in braces.
    inner = re.search(r"\{(.*)\}", stripped, flags=re.DOTALL)
    words = re.split(r"[\s,;:()\[\]]+", (inner.group(1) if inner else stripped).strip(" \t\n,;()[]"))
    return [float(word) for word in words if word]


def _flatten(document: object) -> list[float]:
    if isinstance(document, dict):  # {"x": 1, "y": 2}
        document = [document.get("x"), document.get("y")]
    if isinstance(document, list):
        return [number for item in document for number in _flatten(item)]
    if isinstance(document, int | float) and not isinstance(document, bool):
        return [float(document)]
    raise ValueError(f"{str(document)[:30]!r} is not a number")
