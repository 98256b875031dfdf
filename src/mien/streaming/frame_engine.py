"""The frame engine: frames in, frames with drawn faces out; what is drawn comes from mappers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.faces.align import CropFrame
from mien.latents import Codes
from mien.mappers import Mapper, Seen
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import pick_dtype
from mien.streaming.config import StreamConfig
from mien.streaming.cuts import SceneCuts
from mien.streaming.memory import SLOW, Memory, Paint
from mien.streaming.quick_crop import Frame, quick_crops, quick_paste
from mien.streaming.tracker import Track, Tracker
from mien.styles import Style, StyleLike

FrameLike = TypeVar("FrameLike", NDArray[np.uint8], Image.Image)

PARTS = ("detect", "track", "encode", "draw", "paint", "paste")
"""What a frame's time goes into."""

_WHOLE = 0.85  # share of a face that must be in the frame: of half a face the model knows nothing
_MIDDLE, _HALF = 0.6, 0.24  # of the side of the FFHQ crop: how low the middle of the face lies, and half its width
_USUAL_STEP = 1 / 30  # seconds between frames where nobody says


@dataclass(frozen=True)
class _Group:
    """Faces of a frame that one mapper draws."""

    mapper: Mapper
    squares: list[CropFrame]
    memories: list[Memory]
    crops: Tensor | None = None
    """None: they are not drawn anew, but move along as they are."""
    seen: Seen | None = None


@dataclass(frozen=True)
class _Work:
    """A frame whose faces are found and seen, but not drawn yet."""

    pixels: Frame
    step: float
    groups: list[_Group]
    look: bool


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
        self._memories: dict[int, Memory] = {}
        self._time: float | None = None
        self._shape: tuple[int, ...] = ()

    def reset(self) -> None:
        """Forget where faces are and what they were drawn like: the next frame has nothing to do with the last one."""
        self.tracker.reset()
        self._memories.clear()

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
        work = self._begun(frame, at)
        return self._finished(work, self._painted(work))

    def drawn(self, frames: Iterable[tuple[Frame, float | None]]) -> Generator[Frame, None, None]:
        """The same of frames and their times, one after the other, quicker: while one is drawn, the next is read and followed.

        A frame comes out when the next has come in. All threads but one of torch's draw, one does everything else.
        """
        threads = torch.get_num_threads()
        if threads == 1:
            yield from (self(frame, at) for frame, at in frames)
            return
        with ThreadPoolExecutor(1, "mien-draw", torch.set_num_threads, (threads - 1,)) as worker:
            torch.set_num_threads(1)
            try:
                before: tuple[_Work, Future[list[Paint]]] | None = None
                for frame, at in frames:
                    work = self._begun(frame, at)
                    now = work, worker.submit(self._painted, work)
                    if before is not None:
                        yield self._finished(before[0], before[1].result())
                    before = now
                if before is not None:
                    yield self._finished(before[0], before[1].result())
            finally:
                torch.set_num_threads(threads)

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

    @torch.inference_mode()
    def _begun(self, frame: Frame, at: float | None) -> _Work:
        """Find the faces of the next frame, and see what is to be drawn."""
        pixels = np.array(_checked(frame))
        step = self._step(at)
        self._follow(pixels)
        due = self.frames % self.config.draw_every == 0
        self.frames += 1
        self._drawings += due
        tracks: dict[int, list[Track]] = defaultdict(list)
        for track in self._chosen():
            tracks[min(track.person, len(self._each)) - 1].append(track)
        step *= self.config.draw_every
        pairs = [(self._each[index], some) for index, some in tracks.items()]
        groups = [self._group(mapper, some, pixels, step, due=due) for mapper, some in pairs if mapper is not None]
        return _Work(pixels, step, groups, look=self._drawings % SLOW == 1)

    def _group(self, mapper: Mapper, tracks: Sequence[Track], pixels: Frame, step: float, *, due: bool) -> _Group:
        squares, memories = [track.square for track in tracks], [self._memory(track.person) for track in tracks]
        if not due and all(memory.begun for memory in memories):
            return _Group(mapper, squares, memories)
        with self._timed("encode"):
            crops = quick_crops(pixels, squares, mapper.size)
            seen = mapper.encode(crops)
            smooth = [memory.codes(code, step) for memory, code in zip(memories, seen.codes.single(), strict=True)]
        for memory in memories:
            memory.begun = True
        return _Group(mapper, squares, memories, crops, Seen(_together(smooth), seen.heads))

    @torch.inference_mode()
    def _painted(self, work: _Work) -> list[Paint]:
        """What is to be pasted of each face, those of the first group first: drawn anew, or as it was drawn last."""
        assert isinstance(self.render.strength, (int, float))
        strength, fidelity, hair = float(self.render.strength), self.render.fidelity, self.render.hair
        height, width = work.pixels.shape[:2]
        for group in work.groups:
            if group.seen is None or group.crops is None:
                continue
            with self._timed("draw"):
                made = group.mapper.draw(group.seen, strength=strength, fidelity=fidelity)
            with self._timed("paint"):
                for i, (square, memory) in enumerate(zip(group.squares, group.memories, strict=True)):
                    drawn, photo = (made.faces[i].float(), made.masks[i].float()), (group.crops[i], group.seen.heads[i].float())
                    memory.paint_anew(drawn, photo, square, (width, height), hair, work.step, look=work.look)
        return [memory.paint for group in work.groups for memory in group.memories if memory.paint is not None]

    @torch.inference_mode()
    def _finished(self, work: _Work, paints: Sequence[Paint]) -> Frame:
        """The frame with its faces pasted over."""
        squares = [square for group in work.groups for square in group.squares]
        with self._timed("paste"):
            for square, paint in zip(squares, paints, strict=True):
                quick_paste(work.pixels, square, *paint)
        return work.pixels

    def _chosen(self) -> list[Track]:
        """The tracks that are drawn, the smallest first: a face in front covers those behind."""
        whole = [track for track in self.tracker.tracks if _visible(track.square, self._shape) >= _WHOLE]
        tracks = sorted(whole, key=lambda track: track.square.side)
        if self.config.face == "largest":
            return tracks[-1:]
        return tracks if self.config.face == "all" else [t for t in tracks if t.person == self.config.face]

    def _memory(self, person: int) -> Memory:
        if person not in self._memories:
            self._memories[person] = Memory(self.config.steadiness)
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
