"""Faces followed from frame to frame: where each is, and which is which.

A face's square moves as its brightness does (`motion`), which neither jitters nor lags; what that loses in time, and what it
cannot know, comes from the landmark network, a little at every second frame. The detector looks for new faces now and then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mien.checkpoint.face_networks import read_landmark_network
from mien.faces.align import CropFrame
from mien.faces.detect import combined_square, overlap, quick_look
from mien.faces.five_points import are_plausible, seen_crop, with_mirrored
from mien.models.landmarks import LandmarkNetwork
from mien.streaming.config import StreamConfig
from mien.streaming.motion import Motion, Template
from mien.streaming.people import People
from mien.streaming.quick_crop import Frame, quick_crops

_LEAST, _MOST = 0.04, 0.6  # how much of what the landmarks say to be wrong is mended at each frame
_NOISE = 0.02  # of the side: how far the landmarks are off by themselves
_LOOKS_EVERY = 2  # frames from one look of the landmark network to the next
_SMOOTH = 0.25  # share of the newest in the smoothed difference
_STALE = 0.93  # correlation of the template with the newest frame below which it is taken anew
_SAME = 0.3  # intersection over union of a track and what the detector found
_PATIENCE = 4  # frames without a plausible face after which a track is dropped
_DOUBTS = 8  # doubts after which a track is dropped: one for each search that misses it,
_STRONG = 4  # and so many where looks from beside do not agree about it, or it changed from one frame to the next
_MOST_MOVED = 0.025  # of the side: how far looks from beside a face may take its points along
_BESIDE = ((-0.09, 0.0), (0.09, 0.0), (0.0, -0.09), (0.0, 0.09))


@dataclass
class Track:
    """One face, from frame to frame."""

    person: int
    """Its number, from 1, as it appeared."""
    square: CropFrame
    """Its FFHQ crop in the newest frame."""
    template: Template | None = None
    """The face as it looked in a frame not long ago."""
    anchor: CropFrame | None = None
    """Where the template's square has gone."""
    offset: Motion = field(default_factory=Motion)
    """From there to `square`: what the landmarks have mended since."""
    velocity: Motion = field(default_factory=Motion)
    """How the anchor moved to the newest frame."""
    off: Tensor = field(default_factory=lambda: torch.zeros(4))
    """Smoothed difference of the landmarks' square: right, down, log size, turn in radians."""
    age: int = 0
    missing: int = 0
    doubts: int = 0


class Tracker:
    """Follows faces through frames [H, W, 3] of one size."""

    def __init__(self, config: StreamConfig, network: LandmarkNetwork | None = None) -> None:
        self.config = config
        self.network = network or read_landmark_network()
        self.people = People()
        self.tracks: list[Track] = []
        self._since: int | None = None

    def reset(self) -> None:
        """Forget where faces are: another scene has begun. People are recognized by their faces."""
        self.tracks, self._since = [], None

    @property
    def wants_detection(self) -> bool:
        """Whether the detector is due: now and then, more often while nobody is there."""
        due = self.config.detect_every if self.tracks else (self.config.detect_every + 2) // 3
        return self._since is None or self._since >= due

    def detect(self, frame: Frame) -> None:
        """Look for new faces in a frame in which the known ones were followed; the largest get the first numbers."""
        self._since = 0
        boxes = _searched(frame, self.config.detect_side)
        for track in self.tracks:
            if any(_overlap(track.square, box) > _SAME for box in boxes):
                track.doubts = 0
            else:
                track.doubts += 1 if self._is_steady(frame, track.square) else _STRONG
        self.tracks = [track for track in self.tracks if track.doubts < _DOUBTS]
        for box in sorted(boxes, key=lambda box: -box.side):
            if len(self.tracks) < self.config.most_faces and not any(_overlap(t.square, box) > _SAME / 2 for t in self.tracks):
                square = self._settled(frame, box)
                if square is not None and not any(_overlap(t.square, square) > _SAME for t in self.tracks):
                    self.tracks.append(self._anchored(frame, Track(self._person(frame, square), square), square))

    def follow(self, frame: Frame) -> None:
        """Find every known face in the next frame; those that are gone are dropped."""
        self._since = None if self._since is None else self._since + 1
        self.tracks = [track for track in self.tracks if self._followed(frame, track)]

    def _followed(self, frame: Frame, track: Track) -> bool:
        assert track.anchor is not None
        assert track.template is not None
        before, guess = track.anchor, track.velocity.of(track.anchor)
        patch = self._patch(frame, guess)
        found = track.template.motion_to(patch)
        if found is None:  # too far, or changed too much: as the network sees it, from where the face was
            square = self._settled(frame, track.square)
            track.missing = track.missing + 1 if square is None else 0
            track.doubts, self._since = track.doubts + _STRONG, None
            self._anchored(frame, track, square or track.square)
        else:
            motion, likeness = found
            field = self.network.config.field
            track.anchor = motion.of(guess.scaled(field)).scaled(1 / field)
            track.velocity = _between(before, track.anchor)
            track.square, track.age = track.offset.of(track.anchor), track.age + 1
            if track.age % _LOOKS_EVERY == 0:
                track.square = self._corrected(patch, guess, track, track.square)
                track.offset = _between(track.anchor, track.square)
            if likeness < _STALE:
                velocity = track.velocity
                self._anchored(frame, track, track.square)
                track.velocity = velocity
        height, width = frame.shape[:2]
        x, y = track.square.center
        inside = -0.1 * width < x < 1.1 * width and -0.1 * height < y < 1.1 * height and track.square.side > 24
        return inside and track.missing < _PATIENCE

    def _corrected(self, patch: Tensor, at: CropFrame, track: Track, square: CropFrame) -> CropFrame:
        """The square a little nearer to where the landmarks say it is, by a patch that was read at `at`."""
        seen = self._points(patch[None], [at])[0]
        if not are_plausible(seen, square):
            track.missing += 1
            return square
        track.missing = 0
        difference = _difference(square, _square(seen))
        track.off = torch.lerp(track.off, difference, _SMOOTH)
        share = _LEAST + (_MOST - _LEAST) * ((track.off.abs() / _NOISE - 1) / 3).clamp(0, 1)
        mended = share * track.off
        track.off = track.off - mended
        right, down, size, turn = mended.tolist()
        return Motion(right, down, math.exp(size), math.degrees(turn)).of(square)

    def _settled(self, frame: Frame, square: CropFrame) -> CropFrame | None:
        """The square of the face about there, after a few looks; None where there is none."""
        start = square
        for _ in range(3):
            seen = self._look(frame, [square])[0]
            square = _square(seen)
            if not 0.4 < square.side / start.side < 2.5:
                return None
        return square if are_plausible(seen, start) and self._is_steady(frame, square) else None

    def _is_steady(self, frame: Frame, square: CropFrame) -> bool:
        """Whether looks from beside agree about the points, as they do of faces alone."""
        seen = self._look(frame, [square.moved(*offset) for offset in _BESIDE])[:, :5]
        moved = float((seen - seen.mean(dim=0)).norm(dim=-1).mean())
        return moved < _MOST_MOVED * square.side

    def _person(self, frame: Frame, square: CropFrame) -> int:
        crop = quick_crops(frame, [square], 2 * self.people.network.config.size)
        return self.people.number_of(crop, [track.person for track in self.tracks])

    def _look(self, frame: Frame, squares: Sequence[CropFrame]) -> Tensor:
        """Seven points [N, 7, 2] in the frame, each the mean of a look at the crop and one at its mirror image."""
        return self._points(torch.stack([self._patch(frame, square) for square in squares]), squares)

    def _points(self, patches: Tensor, squares: Sequence[CropFrame]) -> Tensor:
        """The same of patches [N, 1, s, s] that were read there."""
        points = self.network(torch.cat([patches, patches.flip(3)])).double()
        windows = [square.scaled(self.network.config.field) for square in squares]
        return torch.stack([w.to_photo(1)(p) for w, p in zip(windows, with_mirrored(points), strict=True)])

    def _patch(self, frame: Frame, square: CropFrame) -> Tensor:
        """The face's brightness [1, s, s] in the window that the network sees."""
        return quick_crops(frame, [square.scaled(self.network.config.field)], self.network.config.size, gray=True)[0]

    def _anchored(self, frame: Frame, track: Track, square: CropFrame) -> Track:
        """The track with a new template: the face as it looks now, in that square."""
        track.square = track.anchor = square
        track.template, track.offset, track.velocity = Template(self._patch(frame, square)), Motion(), Motion()
        return track


def _searched(frame: Frame, side: int) -> list[CropFrame]:
    """About where faces are, by a look of the detector at a copy with that longer side."""
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    return [CropFrame((found.center[0] / scale, found.center[1] / scale), found.side / scale) for found in quick_look(small)]


def _square(points: Tensor) -> CropFrame:
    return combined_square(points[:5], seen_crop(points))


def _between(start: CropFrame, end: CropFrame) -> Motion:
    right, down, size, turn = _difference(start, end).tolist()
    return Motion(right, down, math.exp(size), math.degrees(turn))


def _difference(start: CropFrame, end: CropFrame) -> Tensor:
    """Right and down in sides of the first, log of the size, turn in radians."""
    right, down = start.to_crop(1)(torch.tensor([end.center], dtype=torch.float64))[0].tolist()
    turn = math.radians((end.angle - start.angle + 180) % 360 - 180)
    return torch.tensor([right - 0.5, down - 0.5, math.log(end.side / start.side), turn])


def _overlap(one: CropFrame, other: CropFrame) -> float:
    return overlap(_upright(one), _upright(other))


def _upright(square: CropFrame) -> tuple[float, float, float, float]:
    (x, y), half = square.center, square.side / 2
    return x - half, y - half, x + half, y + half
