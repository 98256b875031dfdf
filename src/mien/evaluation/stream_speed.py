"""How fast a stream is: frames per second and milliseconds per part, of every engine that is there, in one run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from mien.evaluation.flicker import MovedFrame, moved_photo
from mien.faces.align import CropFrame
from mien.latents import Codes
from mien.mappers import Mapper
from mien.models.sampling import random_codes
from mien.pipeline import Stylizer
from mien.runtime import Progress
from mien.streaming import Stream, StreamConfig
from mien.streaming.frame_engine import PARTS

SIZES = ((640, 480), (1280, 720))
"""Width and height of the frames."""
_DRAW_EVERY = (1, 2)
_CHUNK = 10  # frames of one engine before it is the next one's turn


@dataclass
class StreamSpeed:
    """One engine at one size of frames, with one face."""

    engine: str
    size: tuple[int, int]
    draw_every: int = 1
    """Frames from one drawing to the next (`StreamConfig`)."""
    frames: int = 0
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    """Milliseconds of a frame in each part."""

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds


def measure_streams(
    *, rounds: int = 5, style: str = "ink", sizes: Sequence[tuple[int, int]] = SIZES, progress: Progress | None = None
) -> list[StreamSpeed]:
    """Draw a moving face of the model's own, 10 frames in each of `rounds` rounds, the engines one after the other.

    Frames are there already: neither decoding nor coding a video counts.
    """
    found: list[StreamSpeed] = []
    exact, quick = Stylizer.load(), Stylizer.load(dtype="bfloat16")
    face = exact.render(Codes(random_codes(exact.model.generator, 1, seed=3, psi=0.5)))[0].clamp(-1, 1)
    half = exact.resolution / 2
    engines = _engines(exact, quick, style)
    for number, size in enumerate(sizes):
        frames = list(moved_photo(face, CropFrame((half, half), 2 * half), frames=_CHUNK * rounds, size=size))
        ways = [(name, every) for name in engines for every in _DRAW_EVERY]
        streams = {way: _ready(engines[way[0]], way[1], frames[0]) for way in ways}
        lines = {(name, every): StreamSpeed(name, size, every) for name, every in ways}
        for round_ in range(rounds):
            for way, stream in streams.items():
                _run(stream, frames[round_ * _CHUNK : (round_ + 1) * _CHUNK], lines[way])
            if progress is not None:
                progress(number * rounds + round_ + 1, rounds * len(sizes), 0.0)
        for way, stream in streams.items():
            lines[way].parts = {part: 1000 * stream.seconds[part] / lines[way].frames for part in PARTS}
        found += lines.values()
    return found


def _engines(exact: Stylizer, quick: Stylizer, style: str) -> dict[str, Mapper]:
    """{name: its mapper} of the engines whose packages are there."""
    engines = {"torch": exact.mapper(style, "torch"), "torch bfloat16": quick.mapper(style, "torch")}
    there = {name: find_spec(name) is not None for name in ("onnx", "onnxruntime", "openvino")}
    if there["onnx"] and there["onnxruntime"]:
        engines["onnxruntime"] = exact.mapper(style, "onnxruntime")
    if there["onnx"] and there["openvino"]:
        engines["openvino bfloat16"] = quick.mapper(style, "openvino")
    return engines


def _ready(mapper: Mapper, draw_every: int, frame: MovedFrame) -> Stream:
    """A stream that has drawn once: what is loaded and compiled is so by now."""
    stream = Stream(mapper, StreamConfig(draw_every=draw_every))
    stream(frame.pixels)
    stream.reset()
    stream.seconds.clear()
    return stream


def _run(stream: Stream, frames: Sequence[MovedFrame], line: StreamSpeed) -> None:
    start = time.perf_counter()
    for frame in frames:
        stream(frame.pixels, frame.seconds)
    line.seconds += time.perf_counter() - start
    line.frames += len(frames)
