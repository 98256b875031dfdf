"""What was found so far, on disk beside the output, so that an interrupted preparation resumes.

settings.json     what the crops were made with; with other settings the work starts again
found.jsonl       one line per image file, by the SHA-256 of its content
<sha>-<n>         the n-th crop of that file, encoded
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from mien import __version__
from mien.dataset.config import CropConfig
from mien.dataset.crops import Crop, Examined, Why
from mien.errors import InputError
from mien.files import read_text, write_whole


@dataclass(frozen=True)
class StoredCrop:
    """A crop whose bytes lie in a file."""

    file: Path
    crop: Crop
    """Its `data` is empty."""


_MOST_BYTES = 1 << 30  # of lines: about three million files


def _text(path: Path) -> str:
    """What a file of the journal holds; empty if it is not text (any more): the work then starts again."""
    try:
        return read_text(path, most=_MOST_BYTES)
    except InputError:
        return ""


def _entry(line: str) -> dict[str, Any] | None:
    """One line of the journal; None for one that was cut off, or that no journal wrote."""
    try:
        entry = json.loads(line)
        named = re.fullmatch("[0-9a-f]{1,64}", entry["sha"]) is not None and isinstance(entry["detail"], str)
        crops = all(_is_crop(crop) for crop in entry["crops"])
        return entry if named and crops and entry["why"] in (None, *get_args(Why)) else None
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _is_crop(crop: Mapping[str, Any]) -> bool:
    numbers = [crop["bytes"], crop["side"], crop["sharpness"]]
    hashes = crop["hashes"]
    return (
        all(type(n) in (int, float) and 0 <= n < 1e12 for n in numbers)
        and type(crop["side"]) is int
        and (hashes is None or (isinstance(hashes, list) and len(hashes) == 2))
        and all(isinstance(text, str) and re.fullmatch("[0-9a-f]+", text) for text in hashes or ())
    )


class Journal:
    """The folder of half-done work."""

    def __init__(self, folder: Path, config: CropConfig) -> None:
        """Open `folder`, or create it; what was made with another `config` or mien is removed."""
        self.folder = folder
        self._lines = folder / "found.jsonl"
        self._found: dict[str, dict[str, Any]] = {}
        settings = json.dumps({"mien": __version__, **asdict(config)})
        stored = folder / "settings.json"
        if stored.exists() and _text(stored) == settings:
            self._read()
        else:
            self._clear()
            write_whole(stored, settings)

    def _clear(self) -> None:
        for path in self.folder.glob("*"):  # the lock is hidden, and stays
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif not path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _read(self) -> None:
        for line in (_text(self._lines) if self._lines.exists() else "").splitlines():
            entry = _entry(line)
            if entry is None:
                break
            # The file may be missing or cut off where the power went.
            sizes = [(self._file(entry["sha"], n), crop["bytes"]) for n, crop in enumerate(entry["crops"])]
            if all(file.exists() and file.stat().st_size == size for file, size in sizes):
                self._found[entry["sha"]] = entry
        write_whole(self._lines, "".join(json.dumps(entry) + "\n" for entry in self._found.values()))

    def __contains__(self, sha: str) -> bool:
        return sha in self._found

    def __len__(self) -> int:
        return len(self._found)

    def add(self, sha: str, examined: Examined) -> None:
        """Keep what was found in the file with this SHA-256: first the crops, then the line that names them."""
        crops = []
        for number, crop in enumerate(examined.crops):
            self._file(sha, number).write_bytes(crop.data)
            facts = {"side": crop.side, "sharpness": crop.sharpness, "hashes": crop.hashes}
            crops.append({"bytes": len(crop.data), **facts})
        entry = {"sha": sha, "why": examined.why, "detail": examined.detail, "crops": crops}
        with self._lines.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(entry) + "\n")
        self._found[sha] = entry

    def crops(self, sha: str) -> list[StoredCrop]:
        """The crops of a file that was added."""
        found = []
        for number, entry in enumerate(self._found[sha]["crops"]):
            hashes = None if entry["hashes"] is None else (entry["hashes"][0], entry["hashes"][1])
            found.append(StoredCrop(self._file(sha, number), Crop(b"", entry["side"], entry["sharpness"], hashes)))
        return found

    def why(self, sha: str) -> tuple[Why | None, str]:
        """Why a file that was added has no crops, and the detail; (None, "") where it has some."""
        return self._found[sha]["why"], self._found[sha]["detail"]

    def remove(self) -> None:
        """Delete the folder: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, sha: str, number: int) -> Path:
        return self.folder / f"{sha}-{number}"
