"""The report of a batch: JSON Lines, one per image, appended as each is finished."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mien.batch.plan import Job
from mien.batch.work import Done
from mien.errors import InputError
from mien.files import check_regular


class Account:
    """A file of complete lines, whenever the writer is killed; a truncated line is left alone.

    Of several lines about one output the last one counts.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` to append; its folder is made. Raises `InputError` where that cannot be."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                check_regular(path)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            size = os.fstat(self._file).st_size
            cut = bool(size) and _last_byte(path, size) != b"\n"
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror or error}): give another `report`.") from error
        self.path = path
        if cut:
            os.write(self._file, b"\n")

    def add(self, done: Done) -> None:
        """Append a line, in one write: two processes may share a file."""
        line = json.dumps(done.document(), ensure_ascii=False)
        try:
            os.write(self._file, f"{line}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise InputError(f"{self.path} cannot be written ({error.strerror or error}): free some space.") from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def without_line(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of `jobs` whose outputs have no line: their writer was killed between the image and its line."""
        told = {line.get("output") for line in lines(self.path) if line.get("error") is None}
        return [job for job in jobs if str(job.out) not in told]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an account, without those that were cut off or are none; one at a time, so it may be of any length."""
    with path.open("rb") as file:
        for text in file:
            try:
                line = json.loads(text[: 1 << 16])
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                yield line


def _last_byte(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1)
