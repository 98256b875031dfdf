"""The frame engine: frames in, frames with drawn faces out; what is drawn comes from mappers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.faces.align import CropFrame
from mien.faces.head_mask import coarse_head_mask
from mien.latents import Codes
from mien.mappers import Mapper
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import pick_dtype
from mien.streaming.config import StreamConfig
from mien.streaming.cuts import SceneCuts
from mien.streaming.painting import matching_shift, painted, shifted
from mien.streaming.quick_crop import Frame, fading_edges, quick_crops, quick_paste
from mien.streaming.smoothing import CodeSmoother, OneEuro
from mien.streaming.tracker import Track, Tracker
from mien.styles import Style, StyleLike

FrameLike = TypeVar("FrameLike", NDArray[np.uint8], Image.Image)

PARTS = ("detect", "track", "encode", "draw", "paste")
"""What a frame's time goes into."""

_WHOLE = 0.85  # share of a face that must be in the frame: of half a face the model knows nothing
_MIDDLE, _HALF = 0.6, 0.24  # of the side of the FFHQ crop: how low the middle of the face lies, and half its width
_USUAL_STEP = 1 / 30  # seconds between frames where nobody says
_SLOW = 3  # drawings from one look to the next at what hardly changes: where the head is in its crop, and the light


@dataclass
class _Memory:
    """What is smoothed in time of one face."""

    codes: CodeSmoother
    mask: OneEuro
    shift: OneEuro
    heads: OneEuro
    head: Tensor | None = None
    light: Tensor | None = None
    paint: tuple[Tensor, Tensor] | None = None


@dataclass
class Stream:
    """Redraws the faces of one video, frame by frame: arrays [H, W, 3] of uint8 or PIL images in, the same out.

    >>> stream = mien.Stream.load("ink")
    """

    mappers: Mapper | Sequence[Mapper | None] | None
    """What draws: one mapper for everybody, or one per person by number, the last for all others; None leaves as they are."""
    config: StreamConfig = field(default_factory=StreamConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    """Of it `strength`, one number, `fidelity`, `hair` and `engine` count."""

    @classmethod
    def load(
        cls, styles: StyleLike | Sequence[StyleLike | None] | None, config: StreamConfig | None = None,
        render: RenderConfig | None = None, *, model: str | Path | Stylizer | None = None, dtype: str | None = None,
    ) -> Stream:  # fmt: skip
        """A stream that draws in a style, by name or file; or in one style per person, the last of which draws all others.

        A style None leaves a person as they are. `model` is a name, a file or a `Stylizer`, `dtype` the number type of the
        convolutions (None: the model's): bfloat16 is quicker where the processor has it.
        """
        pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
        kind = pipe.dtype if dtype is None else pick_dtype(dtype)
        given = [styles] if styles is None or isinstance(styles, (Style, str, Path)) else list(styles)
        render = render or RenderConfig()
        made = [None if one is None else pipe.mapper(one, render.engine, kind) for one in given]
        return cls(made, config or StreamConfig(), render)

    def __post_init__(self) -> None:
        given = list(self.mappers) if isinstance(self.mappers, Sequence) else [self.mappers]
        if not given:
            raise InputError("A stream needs a mapper.")
        self._each: list[Mapper | None] = given
        if not isinstance(self.render.strength, (int, float)):
            raise InputError("In a stream `strength` is one number: strengths by size belong to photos.")
        self.tracker = Tracker(self.config)
        self.seconds: dict[str, float] = defaultdict(float)
        """Seconds spent so far in each of `PARTS`."""
        self.frames = 0
        """Frames so far."""
        self.cuts = 0
        """Scene cuts so far."""
        self._drawings = 0
        self._is_cut = SceneCuts()
        self._memories: dict[int, _Memory] = {}
        self._time: float | None = None
        self._shape: tuple[int, ...] = ()

    def reset(self) -> None:
        """Forget where faces are and what they were drawn like: the next frame has nothing to do with the last one."""
        self.tracker.reset()
        self._memories.clear()

    @torch.inference_mode()
    def __call__(self, frame: FrameLike, at: float | None = None) -> FrameLike:
        """The frame with its faces redrawn; the one that is given stays as it is.

        `frame` is an array [H, W, 3] of uint8 in sRGB, or a PIL image. `at` is its time in seconds; None: a thirtieth of a
        second after the last one. A frame without a face comes back with the same pixels. Raises `InputError` for what is no
        frame.
        """
        if isinstance(frame, Image.Image):
            alpha = frame.getchannel("A") if frame.mode in ("RGBA", "LA", "PA") else None
            drawn = Image.fromarray(self(np.asarray(frame.convert("RGB")), at))
            if alpha is not None:
                drawn.putalpha(alpha)
            return drawn
        pixels = np.array(_checked(frame))
        step = self._step(at)
        self._follow(pixels)
        self._draw(pixels, step)
        self.frames += 1
        return pixels

    @property
    def people(self) -> dict[int, CropFrame]:
        """Everybody in the newest frame: where their FFHQ crop is, by number."""
        return {track.person: track.square for track in self.tracker.tracks}

    def _step(self, at: float | None) -> float:
        """Seconds since the last frame."""
        now = (0.0 if self._time is None else self._time + _USUAL_STEP) if at is None else at
        step = _USUAL_STEP if self._time is None else now - self._time
        self._time = now
        return step

    def _follow(self, pixels: Frame) -> None:
        with self._timed("track"):
            if self._is_cut(pixels) or pixels.shape != self._shape:
                self.cuts += bool(self._shape)
                self._shape = pixels.shape
                self.reset()
            self.tracker.follow(pixels)
        if self.tracker.wants_detection:
            with self._timed("detect"):
                self.tracker.detect(pixels)
        gone = self._memories.keys() - self.people.keys()
        for person in gone:
            del self._memories[person]

    def _draw(self, pixels: Frame, step: float) -> None:
        groups: dict[int, list[Track]] = defaultdict(list)
        for track in self._chosen():
            groups[min(track.person, len(self._each)) - 1].append(track)
        due = self.frames % self.config.draw_every == 0
        self._drawings += due
        for index, tracks in groups.items():
            mapper = self._each[index]
            paints = [self._memory(track.person).paint for track in tracks]
            if mapper is not None and (due or None in paints):
                self._draw_with(mapper, tracks, pixels, step * self.config.draw_every)
            elif mapper is not None:
                with self._timed("paste"):
                    for track, paint in zip(tracks, paints, strict=True):
                        assert paint is not None
                        quick_paste(pixels, track.square, *paint)

    def _draw_with(self, mapper: Mapper, tracks: Sequence[Track], pixels: Frame, step: float) -> None:
        with self._timed("encode"):
            crops = quick_crops(pixels, [track.square for track in tracks], mapper.size)
            found = mapper.encode(crops).single()
            memories = [self._memory(track.person) for track in tracks]
            codes = _together([memory.codes(code, step) for memory, code in zip(memories, found, strict=True)])
        with self._timed("draw"):
            assert isinstance(self.render.strength, (int, float))
            mapped = mapper.draw(codes, crops, strength=float(self.render.strength), fidelity=self.render.fidelity)
        with self._timed("paste"):
            owns = self._own_heads(crops, memories, step) if self.render.hair else [None] * len(tracks)
            for i, (track, memory, own) in enumerate(zip(tracks, memories, owns, strict=True)):
                self._paste(pixels, track, memory, (mapped.faces[i].float(), crops[i], mapped.masks[i].float(), own), step)

    def _own_heads(self, crops: Tensor, memories: Sequence[_Memory], step: float) -> list[Tensor | None]:
        """Where the people's own heads are in their crops, each [1, s, s]; looked at now and then: they hardly move there."""
        if self._drawings % _SLOW == 1 or any(memory.head is None for memory in memories):
            seen = F.interpolate(coarse_head_mask(crops), size=crops.shape[-2:], mode="bilinear", align_corners=False)
            for memory, head in zip(memories, seen, strict=True):
                memory.head = memory.heads(head, step * _SLOW)
        return [memory.head for memory in memories]

    def _paste(
        self, pixels: Frame, track: Track, memory: _Memory, made: tuple[Tensor, Tensor, Tensor, Tensor | None], step: float
    ) -> None:
        face, crop, mask, own = made
        mask = memory.mask(mask, step)
        if self._drawings % _SLOW == 1 or memory.light is None:
            memory.light = memory.shift(matching_shift(face, crop, mask), step * _SLOW)
        face = shifted(face, memory.light)
        mask = fading_edges(mask, track.square, pixels.shape[1], pixels.shape[0])
        memory.paint = (face * mask, mask) if own is None else painted(face, crop, mask, own, self.render.hair)
        quick_paste(pixels, track.square, *memory.paint)

    def _chosen(self) -> list[Track]:
        """The tracks that are drawn, the smallest first: a face in front covers those behind."""
        whole = [track for track in self.tracker.tracks if _visible(track.square, self._shape) >= _WHOLE]
        tracks = sorted(whole, key=lambda track: track.square.side)
        if self.config.face == "largest":
            return tracks[-1:]
        return tracks if self.config.face == "all" else [t for t in tracks if t.person == self.config.face]

    def _memory(self, person: int) -> _Memory:
        if person not in self._memories:
            steady = self.config.steadiness
            mask, shift, heads = (OneEuro((-1, -2), steady) for _ in range(3))
            self._memories[person] = _Memory(CodeSmoother(steady), mask, shift, heads)
        return self._memories[person]

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start


def _visible(square: CropFrame, shape: tuple[int, ...]) -> float:
    """How much of a face, brows to chin, lies inside a frame of that shape, 0 to 1."""
    (x, y), half = square.moved(0.0, _MIDDLE - 0.5).center, _HALF * square.side
    across, down = (max(0.0, min(end, v + half) - max(0.0, v - half)) for v, end in ((x, shape[1]), (y, shape[0])))
    return across * down / (2 * half) ** 2


def _checked(frame: Frame) -> Frame:
    is_array = isinstance(frame, np.ndarray)
    if is_array and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and frame.size:
        return frame
    what = f"an array {list(frame.shape)} of {frame.dtype}" if is_array else f"a {type(frame).__name__}"
    raise InputError(f"A frame is an array [H, W, 3] of uint8 or a PIL image, got {what}: convert it.")


def _together(codes: Sequence[Codes]) -> Codes:
    feature_codes = [code.feature_code for code in codes if code.feature_code is not None]
    return Codes(torch.cat([code.w_plus for code in codes]), torch.cat(feature_codes) if feature_codes else None)
