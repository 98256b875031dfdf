"""How fast a stream is: frames per second and milliseconds per part, of every engine that is there, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from mien.evaluation.flicker import MovedFrame, moved_photo
from mien.faces.align import CropFrame
from mien.latents import Codes
from mien.mappers import GeneratorMapper, GraphMapper, Mapper
from mien.mappers.graph import build_graph
from mien.models.sampling import random_codes
from mien.pipeline import Stylizer
from mien.runtime import Progress, pick_dtype
from mien.streaming import Stream, StreamConfig
from mien.streaming.frame_engine import PARTS
from mien.styles import Style

SIZES = ((640, 480), (1280, 720))
"""Width and height of the frames."""
_DRAW_EVERY = (1, 2)
ROUNDS = 2
"""Turns of every engine."""
_CHUNK = 30  # frames of one engine before it is the next one's turn: there and back again along their path
_WARM = 3  # frames that load and compile what there is to load and compile


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
    """Milliseconds of a frame in each part. Drawing runs beside the others: together they are more than a frame takes."""

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds


def measure_streams(
    *, rounds: int = ROUNDS, style: str = "ink", sizes: Sequence[tuple[int, int]] = SIZES, progress: Progress | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[StreamSpeed]:  # fmt: skip
    """Draw a moving face of the model's own, 30 frames in each of `rounds` rounds, the engines one after the other.

    Frames are there already: neither decoding nor coding a video counts. `tell` is told what is going on before that.
    """
    tell("loading the model")
    pipe = Stylizer.load()
    face = pipe.render(Codes(random_codes(pipe.model.generator, 1, seed=3, psi=0.5)))[0].clamp(-1, 1)
    half = pipe.resolution / 2
    engines = _engines(pipe, style, tell)
    lines = [StreamSpeed(name, size, every) for size in sizes for name in engines for every in _DRAW_EVERY]
    streams = [Stream(engines[line.engine], StreamConfig(draw_every=line.draw_every)) for line in lines]
    done, total = 0, rounds * len(lines)
    for size in sizes:
        there = list(moved_photo(face, CropFrame((half, half), 2 * half), frames=_CHUNK // 2, size=size))
        some = [pair for pair in zip(lines, streams, strict=True) if pair[0].size == size]
        for line, stream in some:
            tell(f"warming up: {line.engine}, {size[0]}x{size[1]}, drawn every {line.draw_every}")
            _run(stream, there[:_WARM], StreamSpeed(line.engine, size))
            stream.seconds.clear()
        for _ in range(rounds):
            for line, stream in some:
                _run(stream, [*there, *there[::-1]], line)
                done += 1
                if progress is not None:
                    progress(done, total, 0.0)
    for line, stream in zip(lines, streams, strict=True):
        line.parts = {part: 1000 * stream.seconds[part] / line.frames for part in PARTS}
    return lines


def _engines(pipe: Stylizer, style: str, tell: Callable[[str], None]) -> dict[str, Mapper]:
    """{name: its mapper} of the engines whose packages are there."""
    look, half = Style.load(style), pick_dtype("bfloat16")
    exact = GeneratorMapper(pipe.model, look)
    engines: dict[str, Mapper] = {"torch": exact, "torch bfloat16": GeneratorMapper(pipe.model, look, dtype=half)}
    there = {name: find_spec(name) is not None for name in ("onnx", "onnxruntime", "openvino")}
    if there["onnx"] and there["onnxruntime"]:
        tell("making the graph")
        graph = GraphMapper(build_graph(exact), exact.size)
        engines["onnxruntime"] = graph
        if there["openvino"]:
            engines["openvino bfloat16"] = graph.by("openvino", half)
    return engines


def _run(stream: Stream, frames: Sequence[MovedFrame], line: StreamSpeed) -> None:
    start = time.perf_counter()
    for _ in stream.drawn((frame.pixels, None) for frame in frames):
        line.frames += 1
    line.seconds += time.perf_counter() - start
