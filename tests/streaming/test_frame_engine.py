"""Frames in, frames out: what is drawn where, for whom, and what is smoothed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import mien
from mien.errors import InputError
from mien.evaluation.flicker import measured, moved_photo
from mien.faces.align import CropFrame
from mien.latents import Codes
from mien.mappers import Mapped, Seen
from mien.media.image_input import as_image
from mien.streaming.frame_engine import PARTS

FACE = Path(__file__).parents[2] / "examples" / "face.png"


class Painter:
    """A mapper that paints a disc of one color over the middle of the face."""

    size = 64

    def __init__(self, color: Sequence[float]) -> None:
        self.color, self.told, self.codes = torch.tensor(color)[None, :, None, None], [], []

    def encode(self, crops: Tensor) -> Seen:
        return Seen(Codes(crops.mean(dim=(2, 3))[:, None], crops[:, :, ::16, ::16]), torch.zeros(len(crops), 1, 8, 8))

    def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        self.told.append((strength, fidelity))
        self.codes.append(seen.codes)
        place = torch.linspace(-1, 1, self.size)
        disc = (place[None] ** 2 + place[:, None] ** 2 < 0.5).float()
        return Mapped(self.color.expand(len(seen.heads), 3, self.size, self.size), disc.expand(len(seen.heads), 1, -1, -1))

    def __call__(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        return self.draw(self.encode(crops), strength=strength, fidelity=fidelity)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Two people: one in the middle of each half, the right one larger."""
    face = Image.open(FACE).convert("RGB")
    frame = Image.new("RGB", (640, 300), "#8090a0")
    frame.paste(face.resize((230, 230)), (20, 40))
    frame.paste(face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((290, 290)), (330, 5))
    return np.asarray(frame)


def reddened(before: np.ndarray, after: np.ndarray) -> tuple[bool, bool]:
    """Whether the left and the right half were painted over."""
    changed = (before != after).any(axis=2)
    return bool(changed[:, :320].mean() > 0.05), bool(changed[:, 320:].mean() > 0.05)


RED, BLUE = (1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)
WIDE = mien.streaming.StreamConfig(detect_side=640)


def test_every_face_is_painted_and_the_frame_that_is_given_stays(photo: np.ndarray) -> None:
    before = photo.copy()
    stream = mien.Stream(Painter(RED), WIDE)
    drawn = stream(photo, 0.0)
    assert np.array_equal(photo, before)
    assert drawn.shape == photo.shape
    assert drawn.dtype == np.uint8
    assert reddened(photo, drawn) == (True, True)
    assert set(stream.seconds) == set(PARTS)
    assert stream.frames == 1
    assert sorted(stream.people) == [1, 2]


@pytest.mark.parametrize(
    ("face", "painted"), [(1, (False, True)), (2, (True, False)), ("largest", (False, True)), (3, (False, False))]
)
def test_only_the_people_asked_for(photo: np.ndarray, face: int | str, painted: tuple[bool, bool]) -> None:
    stream = mien.Stream(Painter(RED), mien.streaming.StreamConfig(face=face, detect_side=640))
    assert reddened(photo, stream(photo)) == painted


def test_a_mapper_for_each_person(photo: np.ndarray) -> None:
    drawn = mien.Stream([Painter(RED), Painter(BLUE)], WIDE)(photo)
    left, right = drawn[120:200, 100:160].mean(axis=(0, 1)), drawn[100:200, 430:520].mean(axis=(0, 1))
    assert left[2] > left[0] + 50  # the second person is blue
    assert right[0] > right[2] + 50
    assert reddened(photo, mien.Stream([None, Painter(BLUE)], WIDE)(photo)) == (True, False)


def test_strength_and_fidelity_reach_the_mapper(photo: np.ndarray) -> None:
    painter = Painter(RED)
    mien.Stream(painter, WIDE, mien.RenderConfig(strength=0.5, fidelity=0.25))(photo)
    assert painter.told == [(0.5, 0.25)]
    with pytest.raises(InputError, match="one number"):
        mien.Stream(painter, WIDE, mien.RenderConfig(strength=mien.editing.Strength(coarse=0.5)))


def test_frames_without_a_face_come_back_as_they_are() -> None:
    wall = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    assert np.array_equal(mien.Stream(Painter(RED))(wall), wall)


def test_pil_images_come_back_as_such_with_their_alpha(photo: np.ndarray) -> None:
    image = Image.fromarray(photo).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    drawn = mien.Stream(Painter(RED), WIDE)(image)
    assert drawn.mode == "RGBA"
    assert np.array_equal(np.asarray(drawn)[..., 3], np.asarray(image)[..., 3])
    assert reddened(photo, np.asarray(drawn)[..., :3]) == (True, True)


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), "me.jpg", np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(InputError, match="A frame is"):
        mien.Stream(Painter(RED))(frame)  # type: ignore[type-var]


def test_a_cut_forgets_places_and_codes_but_not_people(photo: np.ndarray) -> None:
    painter = Painter(RED)
    stream = mien.Stream(painter, WIDE)
    stream(photo, 0.0)
    other = np.ascontiguousarray(255 - photo[::-1])
    assert np.array_equal(stream(other, 0.04), other)
    again = stream(photo, 0.08)
    assert stream.cuts == 2
    assert sorted(stream.people) == [1, 2]
    assert reddened(photo, again) == (True, True)
    assert torch.equal(painter.codes[-1].w_plus, painter.codes[0].w_plus)


def test_codes_are_smoothed_as_far_as_steadiness_says(photo: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = [(photo + random.normal(0, 12, photo.shape)).clip(0, 255).astype(np.uint8) for _ in range(6)]
    spread = {}
    for steadiness in (0.0, 1.0):
        painter = Painter(RED)
        stream = mien.Stream(painter, mien.streaming.StreamConfig(steadiness=steadiness, detect_side=640))
        for index, frame in enumerate(noisy):
            stream(frame, index / 30)
        spread[steadiness] = float(torch.stack([c.feature_code for c in painter.codes[1:]]).std(dim=0).mean())
    assert spread[1.0] < 0.7 * spread[0.0]


def test_half_faces_at_the_border_are_left_alone(photo: np.ndarray) -> None:
    stream = mien.Stream(Painter(RED), WIDE)
    stream(photo)
    for gone, drawn in ((20, (True, True)), (110, (False, True))):
        frame = np.ascontiguousarray(np.concatenate([photo[:, gone:], photo[:, :gone] * 0 + 128], axis=1))
        stream.reset()
        assert reddened(frame, stream(frame)) == drawn, gone


def test_between_drawings_a_face_moves_along(photo: np.ndarray) -> None:
    painter = Painter(RED)
    stream = mien.Stream(painter, mien.streaming.StreamConfig(draw_every=3, detect_side=640), mien.RenderConfig(hair=0))
    frames = [np.roll(photo, 4 * i, axis=1) for i in range(6)]
    drawn = [stream(frame, i / 30) for i, frame in enumerate(frames)]
    assert len(painter.told) == 2
    assert all(reddened(frame, out) == (True, True) for frame, out in zip(frames, drawn, strict=True))
    red = [float((out[..., 0].astype(int) - out[..., 1] > 120)[:, 320:].nonzero()[1].mean()) for out in drawn]
    assert np.diff(red) == pytest.approx([4] * 5, abs=1.5)


@pytest.mark.parametrize("every", [1, 2])
def test_drawing_beside_following_gives_the_same_frames(photo: np.ndarray, every: int) -> None:
    config = mien.streaming.StreamConfig(draw_every=every, detect_side=640)
    frames = [np.roll(photo, 3 * i, axis=1) for i in range(5)] + [255 - photo, photo, photo]
    pairs = [(frame, i / 30) for i, frame in enumerate(frames)]
    one = mien.Stream(Painter(RED), config)
    expected, threads = [one(*pair) for pair in pairs], torch.get_num_threads()
    try:
        for some in (1, 2):  # one thread has nothing to draw beside
            torch.set_num_threads(some)
            stream = mien.Stream(Painter(RED), config)
            made = list(stream.drawn(iter(pairs)))
            assert torch.get_num_threads() == some
            assert all(np.array_equal(a, b) for a, b in zip(expected, made, strict=True))
            assert (stream.frames, stream.cuts) == (one.frames, one.cuts)
            cut_short = mien.Stream(Painter(RED), config).drawn(iter(pairs))
            assert np.array_equal(next(cut_short), expected[0])
            cut_short.close()
            assert torch.get_num_threads() == some
    finally:
        torch.set_num_threads(threads)


def test_an_error_in_drawing_comes_out_of_the_stream(photo: np.ndarray) -> None:
    class Broken(Painter):
        def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
            raise InputError("no paint left")

    with pytest.raises(InputError, match="no paint left"):
        list(mien.Stream(Broken(RED), WIDE).drawn([(photo, None), (photo, None)]))


@pytest.mark.slow
def test_the_embedded_model_flickers_no_more_than_the_camera() -> None:
    face = as_image(Image.open(FACE).convert("RGB").resize((256, 256))).rgb()
    square = CropFrame((128.0, 128.0), 230.0)
    frames = moved_photo(face, square, frames=10, size=(320, 240))
    before, after = measured(frames, square, mien.Stream.load("ink", dtype="bfloat16"))
    assert 1.0 < before.step < 4
    assert after.step < before.step
    assert after.spread < 1.2 * before.spread


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"face": 0},
        {"steadiness": 2.0},
        {"detect_every": 0},
        {"detect_side": 10},
        {"most_faces": 0},
        {"draw_every": 0},
    ):
        with pytest.raises(InputError):
            mien.streaming.StreamConfig(**wrong)
    with pytest.raises(InputError, match="needs a mapper"):
        mien.Stream([])
