"""What a verb hands back, and how it is shown: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.cli.streams import STDOUT, for_a_terminal
from mien.errors import MienError, shortened
from mien.media.listing import SUFFIXES
from mien.runtime import Progress

EXIT_SOME_FAILED = 1
_EVERY = 30.0  # seconds between lines of progress where there is no terminal
_LONGEST = 1500  # letters of a note: two paths and what is to be known of them
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class StoppedError(Exception):
    """Ctrl-C or a polite kill, with the truth about what was written until then."""

    def __init__(self, message: str, written: Sequence[str]) -> None:
        super().__init__(message)
        self.written = list(written)


@dataclass
class Live:
    """What a command has handed over while it runs."""

    names: bool
    """Whether names are printed as their files are finished; a JSON document comes at the end."""
    written: list[str] = field(default_factory=list)
    begun: str | None = None
    """The new file that is being written: a stop may come when it is there and not named yet."""

    def stopped(self, *, can_skip: bool) -> StoppedError:
        """The truth about a command that was stopped here; `can_skip`: whether it has --skip-existing."""
        if self.begun is not None and self.begun not in self.written and Path(self.begun).is_file():
            self.written.append(self.begun)
            if self.names:
                print(for_a_terminal(self.begun), flush=True)
        count = len(self.written)
        if not count:
            return StoppedError("stopped: no output was finished, and none is half-written.", ())
        what = "1 file was written, and is complete" if count == 1 else f"{count} files were written, and are complete"
        more = "; the same command with --skip-existing goes on" if can_skip else ""
        return StoppedError(f"stopped: {what}{more}.", self.written)


_LIVE: ContextVar[Live | None] = ContextVar("live", default=None)


@contextmanager
def live(*, names: bool) -> Iterator[Live]:
    """Around a command: reports made in the block tell what was written as it is."""
    told = Live(names)
    token = _LIVE.set(told)
    try:
        yield told
    finally:
        _LIVE.reset(token)


def begin(out: Path) -> None:
    """Say that a file is about to be written, which appears whole."""
    told = _LIVE.get()
    if told is not None:
        told.begun = str(out) if isinstance(out, Path) and not out.exists() else None


@dataclass
class Report:
    """The outcome of a verb: lines for people, a document for programs, warnings, and the inputs that failed."""

    lines: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    printed: set[int] = field(default_factory=set)
    """Numbers of the lines that were printed while the work went on."""

    def wrote(self, out: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Add a written file and what is to be known of it; its name is printed now."""
        self.document.setdefault("written", []).append({"out": str(out), **(facts or {})})
        told = _LIVE.get()
        if told is not None:
            told.written.append(str(out))
        if str(out) == STDOUT:
            return
        self.lines.append(str(out))
        if told is not None and told.names:
            self.printed.add(len(self.lines) - 1)
            print(for_a_terminal(str(out)), flush=True)

    def attempt(self, names: Sequence[Any], work: Callable[[int], None], *, advance: Callable[[], None] = lambda: None) -> None:
        """Call `work(0)`, `work(1)`, ... for each of `names`; a `MienError` fails this one alone.

        Where there is only one, its error is raised: then there is nothing else to report.
        """
        for index, name in enumerate(names):
            try:
                work(index)
            except MienError as error:
                if len(names) == 1:
                    raise
                self.failed[str(name)] = str(error)
            advance()

    def notes(self, *, quiet: bool) -> None:
        """Print the warnings, each kind once."""
        for warning in [] if quiet else together(self.warnings):
            print(f"mien: note: {for_a_terminal(shortened(warning, _LONGEST))}", file=sys.stderr)

    def show(self, *, as_json: bool, quiet: bool) -> int:
        """Print the report; the exit code is 0, or 1 when some inputs failed."""
        self.notes(quiet=quiet)
        for name, message in self.failed.items():
            said = message if name in message else f"{name}: {message}"
            print(f"mien: {for_a_terminal(shortened(said, _LONGEST))}", file=sys.stderr)
        written = self.document.get("written", [])
        if self.failed:
            print(f"mien: {len(self.failed)} failed, {len(written)} written", file=sys.stderr)
        if as_json:
            failed = [{"input": name, "error": message} for name, message in self.failed.items()]
            document = {"ok": not failed, **self.document, "failed": failed, "warnings": self.warnings}
            # Where stdout is the image, the document is told beside it.
            print(as_document(document), file=sys.stderr if any(w["out"] == STDOUT for w in written) else sys.stdout)
        else:
            for index, line in enumerate(self.lines):
                if index not in self.printed:
                    print(for_a_terminal(line))
        return EXIT_SOME_FAILED if self.failed else 0


def as_document(values: Mapping[str, Any]) -> str:
    """JSON in one line, in UTF-8; names that are not UTF-8 are escaped."""
    text = json.dumps(values, ensure_ascii=False)
    return json.dumps(values) if any("\ud800" <= c <= "\udfff" for c in text) else text


def together(warnings: Sequence[str]) -> list[str]:
    """Warnings of one kind, which differ in their image and their numbers alone, as one with a count."""
    kinds: dict[str, list[str]] = {}
    for warning in warnings:
        head, colon, tail = warning.partition(": ")
        of_a_image = bool(colon) and Path(head).suffix.lower() in SUFFIXES
        kinds.setdefault(_NUMBER.sub("#", tail if of_a_image else warning), []).append(warning)
    return [same[0] if len(same) == 1 else f"{same[0]} (and {len(same) - 1} more like this)" for same in kinds.values()]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a plain text table, columns aligned to the left; the last one is never padded."""
    text = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in text]


def pairs(facts: Mapping[str, object]) -> list[str]:
    """Lines `name  value`, the values aligned."""
    width = max(map(len, facts), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in facts.items()]


@contextmanager
def progress(title: str, *, quiet: bool, rate: bool = False) -> Iterator[Progress]:
    """A bar on stderr with the time left; a line every 30 seconds where stderr is no terminal; nothing if `quiet`.

    `rate`: how many a second, too.
    """
    if quiet:
        yield lambda done, total, loss: None
        return
    if not sys.stderr.isatty():
        yield lines_of_progress(title, rate=rate)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    speed = [TextColumn("{task.fields[speed]}")] if rate else []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *speed, TimeRemainingColumn())
    begun = time.monotonic()
    # Names go to the terminal above the bar, and past it where stdout is something else.
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(title, total=None, speed="")
        yield lambda done, total, loss: bar.update(
            task, completed=done, total=total, speed=_speed(done, time.monotonic() - begun)
        )


def _speed(done: int, seconds: float) -> str:
    return f"{done / seconds:.2f}/s" if done and seconds > 0 else ""


def lines_of_progress(title: str, clock: Callable[[], float] = time.monotonic, *, rate: bool = False) -> Progress:
    """Progress for a log: `mien: photos: 120 of 1000, 1.25/s, about 12 min left`, at most every 30 seconds."""
    began = last = clock()

    def advance(done: int, total: int, loss: float) -> None:
        nonlocal last
        now = clock()
        if now - last < _EVERY:
            return
        last = now
        left = (now - began) / done * (total - done) if done and total else 0.0
        of, rest = (f" of {total}" if total else ""), (f", about {max(1, round(left / 60))} min left" if left else "")
        speed = f", {_speed(done, now - began)}" if rate and done else ""
        print(f"mien: {title}: {done}{of}{speed}{rest}", file=sys.stderr, flush=True)

    return advance
