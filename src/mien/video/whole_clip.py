"""A whole video in a style: read, drawn frame by frame, written."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.config import with_settings
from mien.errors import InputError, MienWarning
from mien.files import written_whole
from mien.media.images import refuse_existing
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.streaming import Stream
from mien.streaming.quick_crop import Frame
from mien.styles import StyleLike
from mien.video import animations, clip_writer
from mien.video.animations import AnimationReader, AnimationWriter
from mien.video.clip_reader import ClipReader
from mien.video.clip_writer import ClipWriter
from mien.video.config import VideoConfig
from mien.video.shot import ANIMATIONS, Shot

WRITTEN = (*clip_writer.WRITTEN, *animations.WRITTEN)
"""Endings that can be written."""


@dataclass
class VideoResult:
    """A video that was made."""

    path: Path
    frames: int = 0
    """Frames written."""
    with_faces: int = 0
    """Frames in which a face was drawn."""
    people: set[int] = field(default_factory=set)
    """Numbers of the people who were seen."""
    cuts: int = 0
    """Scene cuts."""
    broken: int = 0
    """Frames that could not be read."""
    seconds: float = 0.0
    """How long it took."""
    notes: list[str] = field(default_factory=list)
    """Notes, a sentence each; they are also issued as warnings (`MienWarning`)."""


def stylize_video(
    source: str | Path, style: StyleLike | Sequence[StyleLike | None] | Stream, target: str | Path, *,
    config: VideoConfig | None = None, render: RenderConfig | None = None, model: str | Path | Stylizer | None = None,
    overwrite: bool = False, progress: Progress | None = None, **settings: Any,
) -> VideoResult:  # fmt: skip
    """Redraw the faces of a video, or of an animated GIF, WebP or PNG, and write it as `target`, whose suffix says the format.

    `style` is the name of a ready one or a file; or one for each person by number, the last for everybody else (None leaves a
    person unchanged); or a `Stream`. Times, sound, colors, transparency and the tags of the file are kept as far as the new
    container has them, rotated videos come out upright, and frames without a face are unchanged. The file appears when it is
    finished. `settings` are those of `config` and `render` by name, as in `quality=90`. `progress` counts frames. Raises
    `InputError` for what is no video, and for an existing file without `overwrite`.

    >>> mien.stylize_video("me.mp4", "ink", "ink.mp4")
    """
    source, target = Path(source), Path(target)
    config, render = with_settings(settings, config or VideoConfig(), render or RenderConfig())
    suffix = target.suffix.lower()
    if suffix not in WRITTEN:
        raise InputError(f"{target} must end in one of {', '.join(WRITTEN)}: that says what kind of video is written.")
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the input, and is never overwritten: give another name.")
    refuse_existing(target, overwrite=overwrite)
    with closing(_open(source)) as clip:
        stream = style if isinstance(style, Stream) else Stream.load(style, config, render, model=model)
        stream.reset()
        result, began = VideoResult(target), time.perf_counter()
        with written_whole(target, overwrite=overwrite) as temporary:
            _draw_all(clip, stream, (temporary, suffix), config, result, progress)
    result.seconds, result.cuts, result.broken = time.perf_counter() - began, stream.cuts, clip.broken
    result.notes += _notes(clip, result)
    for note in result.notes:
        warnings.warn(f"{source}: {note}", MienWarning, stacklevel=2)
    return result


def _open(source: Path) -> ClipReader | AnimationReader:
    return AnimationReader(source) if source.suffix.lower() in ANIMATIONS else ClipReader(source)


def _draw_all(
    clip: ClipReader | AnimationReader, stream: Stream, place: tuple[Path, str], config: VideoConfig, result: VideoResult,
    progress: Progress | None,
) -> None:  # fmt: skip
    writer = _begun(place, clip, config)
    waiting: deque[Shot] = deque()

    def frames() -> Iterator[tuple[Frame, float]]:
        for item in clip:
            if isinstance(item, Shot):
                waiting.append(item)
                yield item.pixels, float(item.at)
            else:
                writer.copy(item)

    try:
        with closing(stream.drawn(frames())) as images:
            for drawn in images:
                shot = waiting.popleft()
                changed = not np.array_equal(drawn, shot.pixels)
                writer.write(shot, drawn if changed else None)
                result.frames, result.with_faces = result.frames + 1, result.with_faces + changed
                result.people |= stream.people.keys()
                if progress is not None:
                    progress(result.frames, max(clip.facts.frames, result.frames) if clip.facts.frames else 0, 0.0)
        if not result.frames:
            raise InputError(f"{clip.path} has no image in it that can be decoded: it is damaged or cut off.")
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    result.notes += writer.notes


def _begun(place: tuple[Path, str], clip: ClipReader | AnimationReader, config: VideoConfig) -> ClipWriter | AnimationWriter:
    (path, suffix), facts = place, clip.facts
    if suffix in animations.WRITTEN:
        return AnimationWriter(path, suffix, facts, config.quality)
    streams = clip.container.streams if isinstance(clip, ClipReader) else None
    others = [*streams.audio, *streams.subtitles] if streams is not None else []
    return ClipWriter(path, suffix, facts, config, others)


def _notes(clip: ClipReader | AnimationReader, result: VideoResult) -> list[str]:
    notes = []
    if clip.broken:
        what = "A part" if clip.broken == 1 else f"{clip.broken} parts"
        notes.append(f"{what} of the file could not be decoded and was left out; everything else is there.")
    if clip.ended_early:
        notes.append(f"The file ends early: {result.frames} frames were there.")
    if not result.people:
        notes.append("No face was found in any frame: the video is unchanged.")
    elif not result.with_faces:
        notes.append(f"{len(result.people)} people were seen, and none of them was selected: the video is unchanged.")
    return notes
