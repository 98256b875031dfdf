"""Writing a video file: frames at their own times, sound copied packet by packet, colors and tags as they were."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.video.clip_reader import import_av, swscale_matrix
from mien.video.config import VideoConfig
from mien.video.shot import ClipFacts, Shot

WRITTEN = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi",
}  # fmt: skip
"""Endings that can be written, and the containers that they mean."""

# Encoder, layout of its pixels, the same with alpha ("": it keeps none).
_CODECS = {
    "h264": ("libx264", "yuv420p", ""),
    "h265": ("libx265", "yuv420p", ""),
    "vp9": ("libvpx-vp9", "yuv420p", "yuva420p"),
    "prores": ("prores_ks", "yuv422p10le", "yuva444p10le"),
    "ffv1": ("ffv1", "yuv444p", "bgra"),
}
_TRANSPARENT = {".webm": "vp9", ".mov": "prores", ".mkv": "ffv1"}
_OPTIONS = {
    "libx264": {"preset": "fast"},
    "libx265": {"preset": "fast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "5", "row-mt": "1", "b": "0"},
}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # of sound that does not say it, by its channels


class ClipWriter:
    """A video file that is being written. Sound goes to `copy`, frames to `write`; `close` finishes it."""

    def __init__(self, path: Path, suffix: str, facts: ClipFacts, config: VideoConfig, others: Sequence[Any] = ()) -> None:
        """Begin a file at `path`, of the kind that `suffix` says, for frames as `facts` says.

        `others` are streams of sound and subtitles (av.Stream) whose packets will come.
        """
        self._av, self.facts, self.notes = import_av(), facts, list[str]()
        self.codec = self._chosen(suffix, config)
        encoder, plain, transparent = _CODECS[self.codec]
        self.keeps_alpha = facts.has_alpha and bool(transparent)
        if facts.has_alpha and not transparent:
            self.notes.append(f"{suffix} with {self.codec} has no transparency, which is lost: .webm and .mov keep it.")
        self._layout = transparent if self.keeps_alpha else plain
        # These layouts have one color for two by two pixels.
        self._even = "420" in self._layout or "422" in self._layout
        options = {"movflags": "+faststart"} if WRITTEN[suffix] in ("mp4", "mov") else {}
        self.container: Any = self._av.open(str(path), "w", format=WRITTEN[suffix], options=options)
        self.container.metadata.update(facts.tags)
        self._begin_video(encoder, config)
        self._others: dict[int, tuple[Any, bool]] = {}
        for stream in others:
            self._add(stream, suffix)
        self._last = -1

    def _chosen(self, suffix: str, config: VideoConfig) -> str:
        if config.codec != "auto":
            return config.codec
        if self.facts.has_alpha and suffix in _TRANSPARENT:
            return _TRANSPARENT[suffix]
        return "vp9" if suffix == ".webm" else "h264"

    def _begin_video(self, encoder: str, config: VideoConfig) -> None:
        if (
            encoder not in self.container.supported_codecs
            and encoder.removeprefix("lib") not in self.container.supported_codecs
        ):
            raise InputError(
                f"{self.container.format.name} does not hold images of {self.codec}: choose another `codec` or ending."
            )
        factor = 63 / 51 if encoder == "libvpx-vp9" else 1.0
        options = dict(_OPTIONS.get(encoder, {}))
        if encoder.startswith("lib"):
            options["crf"] = str(round((50 - 0.4 * config.quality) * factor))
        stream = self.container.add_stream(encoder, rate=self.facts.rate, options=options)
        stream.width, stream.height = (size + size % 2 * self._even for size in (self.facts.width, self.facts.height))
        stream.pix_fmt = self._layout
        stream.time_base = stream.codec_context.time_base = self.facts.step
        if self.facts.pixel_aspect:
            stream.codec_context.sample_aspect_ratio = self.facts.pixel_aspect
        for name, value in self.facts.colors.items():
            setattr(stream.codec_context, name, value)
        stream.thread_type = "AUTO"
        self.stream = stream

    def _add(self, stream: Any, suffix: str) -> None:
        """Copy a stream of sound or subtitles, or re-encode it where the container does not allow it."""
        name = getattr(stream.codec_context, "name", None)
        # Hardly anything plays uncompressed sound in .mp4.
        fits = name in self.container.supported_codecs and not (WRITTEN[suffix] == "mp4" and str(name).startswith("pcm"))
        if fits:
            self._others[stream.index] = self.container.add_stream_from_template(stream), True
        elif stream.type == "audio" and name is not None:
            usual = self.container.default_audio_codec
            layout = _LAYOUTS.get(stream.codec_context.channels, "stereo")
            self._others[stream.index] = self.container.add_stream(usual, rate=stream.rate, layout=layout), False
            self.notes.append(f"Sound of {name} does not go into {suffix} and was re-encoded as {usual}.")
        else:
            self.notes.append(f"{stream.type} of {name} does not go into {suffix} and is left out.".capitalize())
            return
        self._others[stream.index][0].metadata.update(stream.metadata)

    def copy(self, packet: Any) -> None:
        """A packet of sound or subtitles, bit for bit where it can be."""
        if packet.stream.index not in self._others:
            return
        stream, as_it_is = self._others[packet.stream.index]
        if not as_it_is:
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError:
                return
            for frame in frames:
                self.container.mux(stream.encode(frame))
        elif packet.dts is not None:
            packet.stream = stream
            self.container.mux(packet)

    def write(self, shot: Shot, drawn: NDArray[np.uint8] | None) -> None:
        """A frame: `drawn` [H, W, 3], or the shot as it is. Its time is the shot's."""
        frame = self._unchanged(shot) if drawn is None else None
        frame = self._from_pixels(shot.pixels if drawn is None else drawn, shot.alpha) if frame is None else frame
        for name, value in self.facts.colors.items():
            setattr(frame, name, value)
        frame.pict_type = 0
        frame.time_base = self.facts.step
        frame.pts = max(round(shot.at / self.facts.step), self._last + 1)
        frame.duration = round(shot.duration / self.facts.step) if shot.duration else 0
        self._last = frame.pts
        self.container.mux(self.stream.encode(frame))

    def _unchanged(self, shot: Shot) -> Any:
        """The frame as it was decoded, where its pixels are laid out as the encoder takes them."""
        size = self.stream.width, self.stream.height
        if shot.coded is None or (shot.coded.width, shot.coded.height) != size or shot.coded.format.name != self._layout:
            return None
        return shot.coded

    def _from_pixels(self, pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> Any:
        if self.keeps_alpha:
            whole = np.full((*pixels.shape[:2], 1), 255, np.uint8) if alpha is None else alpha[..., None]
            pixels = np.concatenate([pixels, whole], axis=2)
        missing = self.stream.height - pixels.shape[0], self.stream.width - pixels.shape[1]
        if any(missing):
            pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba" if self.keeps_alpha else "rgb24")
        if not self._layout.startswith("yuv"):
            return frame.reformat(format=self._layout)
        matrix = swscale_matrix(self.facts.colors.get("colorspace", 2), self.facts.height)
        full = self.facts.colors.get("color_range") == 2
        return frame.reformat(format=self._layout, dst_colorspace=matrix, dst_color_range=2 if full else 1)

    def finish(self) -> None:
        """Write what is still in the encoders, and the file's end."""
        self.container.mux(self.stream.encode())
        for stream, as_it_is in self._others.values():
            if not as_it_is:
                self.container.mux(stream.encode())
        self.container.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        with suppress(self._av.error.FFmpegError, OSError):
            self.container.close()
