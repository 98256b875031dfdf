"""Faces are followed to a fraction of a pixel, people are known again, and what is no face is let go."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.evaluation.flicker import MovedFrame, moved_photo
from mien.faces.align import CropFrame
from mien.media.image_input import as_image
from mien.streaming import StreamConfig
from mien.streaming.tracker import Tracker

FACE = Path(__file__).parents[2] / "examples" / "face.png"
WHOLE = CropFrame((128.0, 128.0), 230.0)


@pytest.fixture(scope="module")
def clip() -> list[MovedFrame]:
    photo = as_image(Image.open(FACE).convert("RGB").resize((256, 256))).rgb()
    return list(moved_photo(photo, WHOLE, frames=20, size=(320, 240)))


def follow(frames: Sequence[np.ndarray], config: StreamConfig | None = None) -> list[dict[int, CropFrame]]:
    tracker, seen = Tracker(config or StreamConfig()), []
    with torch.inference_mode():
        for frame in frames:
            tracker.follow(frame)
            if tracker.wants_detection:
                tracker.detect(frame)
            seen.append({track.person: track.square for track in tracker.tracks})
    return seen


def test_a_face_is_followed_to_a_fraction_of_a_pixel(clip: list[MovedFrame]) -> None:
    places, sides, turns = [], [], []
    for frame, people in zip(clip, follow([frame.pixels for frame in clip]), strict=True):
        square = people[1]
        places.append(frame.to_photo(torch.tensor([square.center], dtype=torch.float64))[0])
        sides.append(square.side * frame.to_photo.scale)
        turns.append(square.angle + math.degrees(math.atan2(frame.to_photo.d, frame.to_photo.a)))
    # In pixels of the photo, which the face fills: neither jitter nor lag.
    assert float(torch.stack(places).std(dim=0).max()) < 0.15
    assert float(np.std(sides)) < 0.4
    assert float(np.std(turns)) < 0.1
    assert len({tuple(people) for people in follow([frame.pixels for frame in clip])}) == 1


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.concatenate([left, right], axis=1)


@pytest.fixture(scope="module")
def two(clip: list[MovedFrame]) -> list[np.ndarray]:
    """Frames with a person on the left and another, somewhat larger, on the right."""
    from mien import Stylizer
    from mien.latents import Codes
    from mien.models.sampling import random_codes

    pipe = Stylizer.load(device="cpu")
    face = pipe.render(Codes(random_codes(pipe.model.generator, 1, seed=3, psi=0.5)))[0].clamp(-1, 1)
    others = moved_photo(face, CropFrame((128.0, 128.0), 256.0), frames=8, size=(320, 240), share=0.95)
    return [beside(frame.pixels, other.pixels) for frame, other in zip(clip, others, strict=False)]


def test_two_people_keep_their_numbers_by_size(two: list[np.ndarray]) -> None:
    for people in follow(two, StreamConfig(detect_every=3, detect_side=640)):
        assert sorted(people) == [1, 2]
        assert people[1].center[0] > 320 > people[2].center[0]


def test_people_are_known_again_after_a_cut(two: list[np.ndarray]) -> None:
    tracker = Tracker(StreamConfig(detect_side=640))
    with torch.inference_mode():
        tracker.detect(two[0])
        assert len(tracker.tracks) == 2
        tracker.reset()
        mirrored = beside(two[1][:, 320:], two[1][:, :320])
        tracker.detect(mirrored)
    assert {track.person: track.square.center[0] > 320 for track in tracker.tracks} == {1: False, 2: True}


def test_a_face_that_is_gone_is_let_go(clip: list[MovedFrame]) -> None:
    wall = np.random.default_rng(0).integers(90, 120, clip[0].pixels.shape, dtype=np.uint8)
    seen = follow([clip[0].pixels, clip[1].pixels, *[wall] * 8])
    assert list(seen[1]) == [1]
    assert not seen[-1]


def test_the_search_happens_as_often_as_it_is_told_to(clip: list[MovedFrame]) -> None:
    tracker, searched = Tracker(StreamConfig(detect_every=4)), []
    with torch.inference_mode():
        for frame in clip[:10]:
            tracker.follow(frame.pixels)
            searched.append(tracker.wants_detection)
            if tracker.wants_detection:
                tracker.detect(frame.pixels)
    assert searched == [True, False, False, False] * 2 + [True, False]


def test_no_more_faces_than_asked_for_and_none_too_small(two: list[np.ndarray]) -> None:
    assert len(follow(two[:1], StreamConfig(most_faces=1, detect_side=640))[0]) == 1
    assert not follow(two[:1], StreamConfig(detect_side=100))[0]
