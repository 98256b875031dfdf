"""stdout and stderr that never end the work: closed ones, readers that went away, names that are not UTF-8."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
from types import FrameType
from typing import TextIO

STDOUT = "-"
"""What a file is called that is written to stdout, or read from stdin."""


class PatientStream(io.TextIOWrapper):
    """Text to a reader who may go away: what is written then is dropped, as in `mien models | head -1`."""

    def write(self, text: str) -> int:
        """Write, or drop."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _as_they_are(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode names that are not UTF-8 as their own bytes, and what an encoding does not have as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = [
        bytes([ord(c) - 0xDC00]) if 0xDC80 <= ord(c) <= 0xDCFF else c.encode("ascii", "backslashreplace")
        for c in error.object[error.start : error.end]
    ]
    return b"".join(parts), error.end


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable whatever was handed over; a polite kill becomes Ctrl-C."""
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get this number, and all that is printed with it
            os.open(os.devnull, flags)
    codecs.register_error("mien", _as_they_are)
    sys.stdout = _patient(sys.stdout, 1)
    sys.stderr = _patient(sys.stderr, 2)
    for name in ("SIGTERM", "SIGHUP"):
        wanted = getattr(signal, name, None)
        if wanted is not None and signal.getsignal(wanted) == signal.SIG_DFL:  # `nohup` ignores SIGHUP
            signal.signal(wanted, _stop)


def _patient(stream: TextIO | None, number: int) -> TextIO:
    if stream is None or not hasattr(stream, "detach"):
        return PatientStream(open(number, "wb", closefd=False), "utf-8", "mien", line_buffering=True)
    encoding, lines = stream.encoding, stream.isatty() or number == 2
    return PatientStream(stream.detach(), encoding, "mien", line_buffering=lines)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def for_a_terminal(text: str) -> str:
    """Text with its control characters escaped; names that are not UTF-8 stay their own bytes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or 0xDC80 <= ord(c) <= 0xDCFF else ascii(c)[1:-1] for c in text)


def write_bytes(content: bytes) -> None:
    """A file to stdout, after the text that was printed; not to a terminal, see `refuse_terminal`."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
