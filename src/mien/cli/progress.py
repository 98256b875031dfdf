"""What a training shows while it runs, and how it is asked to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SHOWN = ("structure", "pixels", "features", "identity", "r1", "path_length")


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a polite kill set a flag, so that a step is finished and a snapshot written; a second one ends at once."""
    asked = threading.Event()

    def handle(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        print("\nmien: finishing the step and writing a snapshot; once more to stop at once.", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ProgressLine:
    """One line on stderr that follows the training, where stderr is a terminal; a line per report elsewhere."""

    def __init__(self, *, silent: bool) -> None:
        self.silent, self.alive, self.width = silent, sys.stderr.isatty(), 0

    def note(self, text: str) -> None:
        """Lines that stay."""
        if not self.silent:
            self.end()
            print(text, file=sys.stderr)

    def show(self, line: Mapping[str, Any]) -> None:
        """The newest statistics."""
        if self.silent:
            return
        text = progress_text(line)
        if self.alive:
            print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
            self.width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the live line."""
        if self.alive and self.width:
            print(file=sys.stderr)
            self.width = 0


def progress_text(line: Mapping[str, Any]) -> str:
    """Statistics in one line for people."""
    parts = [
        f"{line['px']} px  {line['images'] / 1000:.1f}k images  {line['images_per_second']:.1f}/s",
        f"G {line['generator']:.3f}  D {line['discriminator']:.3f}",
    ]
    parts += [f"{name} {line[name]:.3g}" for name in _SHOWN if name in line]
    parts.append(f"r_t {line['real_sign']:.2f}  ADA p {line['ada_p']:.3f}")
    if line["seconds_left"] is not None:
        minutes = round(line["seconds_left"] / 60)
        parts.append(f"{minutes // 60} h {minutes % 60:02d} min left" if minutes >= 60 else f"{minutes} min left")
    return "  ".join(parts)
