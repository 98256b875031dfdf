"""Reading a video file: frames, decoded and upright, and the packets of sound in the order in which they lie in the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, MienError, shown
from mien.files import check_regular
from mien.video.shot import ClipFacts, Shot, check_size

if TYPE_CHECKING:
    import av

_UNSPECIFIED = 2  # of color matrix, primaries and transfer in ITU-T H.273
_HD = 720  # lines from which unspecified colors are those of HD
_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M"}
_BT2020 = 9
_MOST_ERRORS = 100  # one after the other, after which the rest of a file is given up
_KEPT_TAGS = ("title", "artist", "album", "date", "year", "comment", "copyright", "genre", "language", "creation_time")
_USUAL_RATE = Fraction(30)


def import_av() -> ModuleType:
    """PyAV; raises `MienError` where it is not installed."""
    try:
        import av
        import av.logging
    except ImportError as missing:
        raise MienError('Video needs the package av (Python 3.11 or newer): pip install "mien[video]".') from missing
    av.logging.set_libav_level(av.logging.PANIC)  # what is wrong is said in one sentence by the errors
    return av


class ClipReader:
    """A video file that is open. Iterate over it for frames (`Shot`) and packets of its other streams."""

    def __init__(self, path: Path) -> None:
        """Open a file; raises `InputError` if it is not a video, or has no video stream."""
        check_regular(path)
        self.path, self._av = path, import_av()
        self.broken = 0
        """Packets that could not be decoded, so far."""
        self.ended_early = False
        """Whether the file broke off."""
        self._open()
        try:
            self.facts = self._found()
        finally:
            self.close()
        self.broken, self.ended_early = 0, False
        self._open()  # from its beginning

    def _open(self) -> None:
        try:
            self.container: av.container.InputContainer = self._av.open(str(self.path), metadata_errors="replace")
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.path} is not a video that can be read ({_reason(error)}): check the file.") from error
        try:
            self.stream = self._first_video()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def _first_video(self) -> Any:
        cover = self._av.stream.Disposition.attached_pic
        found = [stream for stream in self.container.streams.video if not stream.disposition & cover]
        if not found:
            raise InputError(f"{self.path} has no video in it: give a file with moving images.")
        stream = found[0]
        if stream.codec_context is None:
            raise InputError(f"{self.path} is coded in a way that cannot be read: convert it to H.264 first.")
        check_size(stream.codec_context.width, stream.codec_context.height, self.path)
        stream.thread_type = "AUTO"
        self._decoder = None
        if stream.metadata.get("alpha_mode") == "1" and stream.codec_context.name in ("vp8", "vp9"):
            # Transparency of WebM lies beside the images, where only this decoder looks.
            self._decoder = self._av.CodecContext.create(f"libvpx{'-vp9' * (stream.codec_context.name == 'vp9')}", "r")
        return stream

    def _found(self) -> ClipFacts:
        stream = self.stream
        rate = stream.guessed_rate or stream.average_rate or _USUAL_RATE
        count = stream.frames
        if not count and (stream.duration or self.container.duration):
            whole = Fraction(self.container.duration or 0, 1_000_000)
            count = int((stream.duration * stream.time_base if stream.duration else whole) * rate)
        first = next((frame for packet in self._packets() for frame in self._decoded(packet)), None)
        if first is None:
            raise InputError(f"{self.path} has no image in it that can be decoded: it is damaged or cut off.")
        turned = _transposes(_matrix(first))
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        aspect = stream.sample_aspect_ratio or None
        return ClipFacts(
            width, height, Fraction(rate), Fraction(stream.time_base), int(count), has_alpha=_has_alpha(first),
            colors={} if first.format.is_rgb else {name: int(getattr(first, name)) for name in COLORS},
            pixel_aspect=1 / aspect if aspect and turned else aspect,
            tags={k.lower(): v for k, v in self.container.metadata.items() if k.lower() in _KEPT_TAGS},
        )  # fmt: skip

    def __iter__(self) -> Iterator[Any]:
        """Frames as `Shot`, and packets of sound and subtitles (av.Packet)."""
        last: Fraction | None = None
        for packet in self._packets():
            if packet.stream is not self.stream and packet.stream.index != self.stream.index:
                yield packet
                continue
            for frame in self._decoded(packet):
                shot = self._shot(frame, last)
                if last is None or shot.at > last:  # two at one time, or one before the last, cannot be written
                    last = shot.at
                    yield shot

    def _packets(self) -> Iterator[Any]:
        """All packets; damaged ones are skipped, and a broken file simply ends."""
        wanted = [self.stream, *self.container.streams.audio, *self.container.streams.subtitles]
        packets, errors = self.container.demux(wanted), 0
        while errors < _MOST_ERRORS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.error.EOFError:
                return
            except (self._av.error.FFmpegError, OSError):
                errors, self.broken = errors + 1, self.broken + 1
                packets = self.container.demux(wanted)
                continue
            errors = 0
            yield packet
        self.ended_early = True

    def _decoded(self, packet: Any) -> list[Any]:
        if packet.stream.index != self.stream.index:
            return []
        try:
            frames = packet.decode() if self._decoder is None else self._decoder.decode(packet if packet.size else None)
        except self._av.error.EOFError:
            return []
        except (self._av.error.FFmpegError, OSError):
            self.broken += 1
            return []
        sound = [frame for frame in frames if not frame.is_corrupt]
        self.broken += len(frames) - len(sound)
        return sound

    def _shot(self, frame: Any, last: Fraction | None) -> Shot:
        check_size(frame.width, frame.height, self.path)
        step = frame.time_base or self.stream.time_base
        following = Fraction(0) if last is None else last + 1 / self.facts.rate
        at = following if frame.pts is None else frame.pts * Fraction(step)
        matrix = _matrix(frame)
        if (frame.height, frame.width) != self._coded_size(matrix):
            height, width = self._coded_size(matrix)
            frame = frame.reformat(width=width, height=height)
        alpha = None
        if self.facts.has_alpha and _has_alpha(frame):
            rgba = _upright(_rgb(frame, "rgba"), matrix)
            pixels, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        else:
            pixels = _upright(_rgb(frame, "rgb24"), matrix)
        duration = frame.duration * Fraction(step) if frame.duration else None
        return Shot(pixels, at, duration, alpha, frame if matrix is None else None)

    def _coded_size(self, matrix: Matrix | None) -> tuple[int, int]:
        size = self.facts.height, self.facts.width
        return size[::-1] if _transposes(matrix) else size


Matrix = tuple[int, int, int, int]
COLORS = ("colorspace", "color_range", "color_primaries", "color_trc")


def swscale_matrix(colorspace: int, height: int) -> str | int:
    """The color matrix by the converter's name. If it is not stated, SD or HD is guessed from the height, as players do."""
    if colorspace in (9, 10):
        return _BT2020
    usual = 1 if height >= _HD else 6
    return _MATRICES.get(usual if colorspace == _UNSPECIFIED else colorspace, _MATRICES[usual])


def _rgb(frame: Any, layout: str) -> NDArray[np.uint8]:
    if frame.format.is_rgb or "gray" in frame.format.name:
        pixels: NDArray[np.uint8] = frame.to_ndarray(format=layout)
        return pixels
    return frame.to_ndarray(format=layout, src_colorspace=swscale_matrix(int(frame.colorspace), frame.height))  # type: ignore[no-any-return]


def _has_alpha(frame: Any) -> bool:
    names = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8")
    return str(frame.format.name).startswith(names)


def _matrix(frame: Any) -> Matrix | None:
    """Signs (a, b, c, d) of the map x' = a x + c y, y' = b x + d y that makes the frame upright; None: it is."""
    told = frame.side_data.get("DISPLAYMATRIX")
    data = b"" if told is None else bytes(told)
    if len(data) < 36:
        return None
    a, b, _, c, d = struct.unpack("=5i", data[:20])
    if abs(b) + abs(c) > abs(a) + abs(d):
        found = (0, 1 if b > 0 else -1, 1 if c > 0 else -1, 0)
    else:
        found = (1 if a > 0 else -1, 0, 0, 1 if d > 0 else -1)
    return None if found == (1, 0, 0, 1) else found


def _transposes(matrix: Matrix | None) -> bool:
    return matrix is not None and matrix[0] == 0


def _upright(pixels: NDArray[np.uint8], matrix: Matrix | None) -> NDArray[np.uint8]:
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    pixels = pixels.swapaxes(0, 1) if a == 0 else pixels
    pixels = pixels[:, ::-1] if a + c < 0 else pixels
    return np.ascontiguousarray(pixels[::-1] if b + d < 0 else pixels)


def _reason(error: BaseException) -> str:
    return shown(getattr(error, "strerror", None) or error)
