"""What a verb hands back, and how it is shown: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.runtime import Progress

EXIT_SOME_FAILED = 1


@dataclass
class Report:
    """The outcome of a verb: lines for people, a document for programs, warnings, and the inputs that failed."""

    lines: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def wrote(self, out: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Add a written file and what is to be known of it."""
        self.lines.append(str(out))
        self.document.setdefault("written", []).append({"out": str(out), **(facts or {})})

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
        """Print the warnings."""
        for warning in [] if quiet else self.warnings:
            print(f"mien: note: {warning}", file=sys.stderr)

    def show(self, *, as_json: bool, quiet: bool) -> int:
        """Print the report; the exit code is 0, or 1 when some inputs failed."""
        self.notes(quiet=quiet)
        for name, message in self.failed.items():
            print(f"mien: {name}: {message}", file=sys.stderr)
        if self.failed:
            print(f"mien: {len(self.failed)} failed, {len(self.document.get('written', []))} written", file=sys.stderr)
        if as_json:
            failed = [{"input": name, "error": message} for name, message in self.failed.items()]
            print(
                json.dumps({"ok": not failed, **self.document, "failed": failed, "warnings": self.warnings}, ensure_ascii=False)
            )
        else:
            for line in self.lines:
                print(line)
        return EXIT_SOME_FAILED if self.failed else 0


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
def progress(title: str, *, quiet: bool) -> Iterator[Progress]:
    """A bar on stderr with the time left, and none where stderr is no terminal or `quiet` is set."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total, loss: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, loss: bar.update(task, completed=done, total=total)
