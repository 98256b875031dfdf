"""How much a stream flickers: a photo is moved along a known path, drawn frame by frame, and the motion is undone again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.faces.align import CropFrame
from mien.faces.warp import Affine, warp
from mien.streaming.quick_crop import Frame

NOISE = 2.0
"""Standard deviation of the noise of a camera's sensor in steps of 8 bits: a webcam's in a lit room."""

_SHOWN = 256  # side in pixels at which a face is compared with itself
_CENTRE, _RADII = (0.5, 0.55), (0.30, 0.36)  # the face in its FFHQ crop, in sides


@dataclass(frozen=True)
class Path:
    """How a photo moves through the image: smooth, by fractions of a pixel, as a head before a camera does."""

    shift: float = 0.06
    """Largest shift, in units of the frame's height."""
    turn: float = 6.0
    """Largest turn in degrees."""
    zoom: float = 0.06
    """Largest change of size."""
    seconds: float = 2.5
    """Period of the shift; turn and size have others."""

    def at(self, seconds: float, height: int) -> tuple[float, float, float, float]:
        """Right and down in pixels, turn in degrees, and size factor."""
        phase = 2 * math.pi * seconds / self.seconds
        right, down = math.sin(phase), math.sin(0.77 * phase + 1)
        return (
            self.shift * height * right, 0.6 * self.shift * height * down,
            self.turn * math.sin(0.61 * phase + 2), 1 + self.zoom * math.sin(0.43 * phase),
        )  # fmt: skip


@dataclass(frozen=True)
class MovedFrame:
    """A frame of the clip, and where it shows the photo."""

    pixels: Frame
    to_photo: Affine
    """The frame's coordinates -> the photo's."""
    seconds: float


def moved_photo(
    photo: Tensor, face: CropFrame, *, frames: int, size: tuple[int, int] = (640, 480), share: float = 0.75, fps: float = 30.0,
    noise: float = NOISE, path: Path | None = None,
) -> Iterator[MovedFrame]:  # fmt: skip
    """A clip in which a photo [3, H, W] in [-1, 1] moves; its `face` takes `share` of the frame's height.

    `noise` is the standard deviation of the sensor's noise in steps of 8 bits, new in each frame.
    """
    width, height = size
    path, random = path or Path(), np.random.default_rng(0)
    for index in range(frames):
        right, down, turn, zoom = path.at(index / fps, height)
        scale = face.side / (share * height * zoom)
        cos, sin = math.cos(math.radians(turn)) * scale, math.sin(math.radians(turn)) * scale
        x, y = width / 2 + right, height / 2 + down
        to_photo = Affine(cos, sin, face.center[0] - cos * x - sin * y, -sin, cos, face.center[1] + sin * x - cos * y)
        image = (warp(photo, to_photo, height, width).clamp(-1, 1) + 1) * 127.5
        pixels = image.permute(1, 2, 0).numpy() + random.normal(0, noise, (height, width, 3))
        yield MovedFrame(np.rint(pixels).clip(0, 255).astype(np.uint8), to_photo, index / fps)


@dataclass(frozen=True)
class Flicker:
    """How much the face of a clip varies in time where nothing but its place changes, in steps of 8 bits."""

    spread: float
    """Standard deviation in time of each pixel of the face, root mean square over them."""
    step: float
    """Change from one frame to the next, root mean square."""


class FaceOverTime:
    """Collects a face from frames whose motion is known, as it looks when the motion is undone."""

    def __init__(self, face: CropFrame) -> None:
        self.face = face
        self._seen: list[Tensor] = []

    def add(self, pixels: Frame, to_photo: Affine) -> None:
        """One more frame."""
        to_frame = _after(to_photo.inverse(), self.face.to_photo(_SHOWN))
        rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
        self._seen.append(warp(rgb, to_frame, _SHOWN, _SHOWN))

    def flicker(self) -> Flicker:
        """How much it varied."""
        seen = torch.stack(self._seen)[:, :, _ellipse()]
        spread = seen.var(dim=0, correction=0).mean().sqrt()
        step = (seen[1:] - seen[:-1]).square().mean().sqrt()
        return Flicker(float(spread), float(step))


def _after(second: Affine, first: Affine) -> Affine:
    """The map that does `first`, then `second`."""
    a, b, d, e = second.a, second.b, second.d, second.e
    return Affine(
        a * first.a + b * first.d, a * first.b + b * first.e, a * first.c + b * first.f + second.c,
        d * first.a + e * first.d, d * first.b + e * first.e, d * first.c + e * first.f + second.f,
    )  # fmt: skip


def _ellipse() -> Tensor:
    place = (torch.arange(_SHOWN) + 0.5) / _SHOWN
    x, y = (place - _CENTRE[0]) / _RADII[0], (place - _CENTRE[1]) / _RADII[1]
    return x.square()[None] + y.square()[:, None] < 1


def measured(frames: Iterator[MovedFrame], face: CropFrame, draw: Callable[[Frame, float], Frame]) -> tuple[Flicker, Flicker]:
    """The flicker of a clip, and of what `draw` (pixels, seconds) makes of it."""
    before, after = FaceOverTime(face), FaceOverTime(face)
    for frame in frames:
        before.add(frame.pixels, frame.to_photo)
        after.add(draw(frame.pixels, frame.seconds), frame.to_photo)
    return before.flicker(), after.flicker()
