"""The styles of one visitor: those of this visit, and the kept ones. Each is a style file with its image beside it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from mien.checkpoint.hub.published import models_folder
from mien.errors import InputError
from mien.styles import Style

_MOST = 40  # files of some 10 MB each
_LONGEST_NAME = 60
_NOT_IN_NAMES = re.compile(r"[^\w .,'()-]+")
SUFFIX, CARD = ".safetensors", ".webp"


def usual_folder() -> Path:
    """The default folder for kept styles: beside the downloaded models."""
    return models_folder().parent / "styles"


def plain_name(text: str) -> str:
    """A name that every file system accepts; raises `InputError` if nothing is left of it."""
    name = _NOT_IN_NAMES.sub(" ", text).strip(" .")[:_LONGEST_NAME].strip(" .")
    if not name:
        raise InputError("A style needs a name of letters or numbers: type one.")
    return name


@dataclass(frozen=True)
class ShelfStyle:
    """A style on a shelf."""

    id: str
    name: str
    path: Path
    kept: bool

    @property
    def card(self) -> Path:
        """The image of it."""
        return self.path.with_suffix(CARD)


class Shelf:
    """The styles of a visit, in `folder`, and those of the same browser that outlive it, in `kept`."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder, self.kept = folder, kept
        self.folder.mkdir(parents=True, exist_ok=True)

    def styles(self) -> list[ShelfStyle]:
        """All of them: those of this visit first, both by name."""
        return [*self._in(self.folder, kept=False), *self._in(self.kept, kept=True)]

    def _in(self, folder: Path, *, kept: bool) -> list[ShelfStyle]:
        paths = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name.lower())
        return [ShelfStyle(f"{'kept' if kept else 'own'}:{path.stem}", path.stem, path, kept) for path in paths]

    def find(self, identity: str) -> ShelfStyle:
        """The style of that id; raises `InputError`."""
        found = next((style for style in self.styles() if style.id == identity), None)
        if found is None:
            raise InputError("That style is not here any more: reload the page.")
        return found

    def add(self, style: Style, card: Image.Image) -> ShelfStyle:
        """Put a style and its image on the shelf of this visit; a name that is taken gets a number."""
        if len(self.styles()) >= _MOST:
            raise InputError(f"There are {_MOST} styles here already: delete one first.")
        name = self._free(plain_name(style.name), self.folder)
        path = self.folder / f"{name}{SUFFIX}"
        card.save(path.with_suffix(CARD), quality=90)
        replace(style, name=name).save(path)
        return self.find(f"own:{name}")

    def keep(self, identity: str) -> ShelfStyle:
        """Let a style of this visit outlive it."""
        style = self.find(identity)
        if style.kept:
            return style
        self.kept.mkdir(parents=True, exist_ok=True)
        name = self._free(style.name, self.kept)
        return self._moved(style, self.kept / f"{name}{SUFFIX}", lambda new: self.find(f"kept:{new}"))

    def rename(self, identity: str, text: str) -> ShelfStyle:
        """Give a style another name, in its file too."""
        style, name = self.find(identity), plain_name(text)
        if name == style.name:
            return style
        name = self._free(name, style.path.parent)
        where = "kept" if style.kept else "own"
        return self._moved(style, style.path.with_name(f"{name}{SUFFIX}"), lambda new: self.find(f"{where}:{new}"))

    def _moved(self, style: ShelfStyle, path: Path, found: Callable[[str], ShelfStyle]) -> ShelfStyle:
        """The new file is whole before the old one goes."""
        if style.card.exists():
            shutil.copyfile(style.card, path.with_suffix(CARD))
        if path.stem == style.name:
            shutil.copyfile(style.path, path)
        else:
            replace(Style.read(style.path), name=path.stem).save(path)
        self._remove(style)
        return found(path.stem)

    def delete(self, identity: str) -> None:
        """Remove a style for good."""
        self._remove(self.find(identity))

    @staticmethod
    def _remove(style: ShelfStyle) -> None:
        style.path.unlink(missing_ok=True)
        style.card.unlink(missing_ok=True)

    @staticmethod
    def _free(name: str, folder: Path) -> str:
        taken = {path.stem.lower() for path in folder.glob(f"*{SUFFIX}")}
        numbered = (f"{name} {number}" for number in range(2, _MOST + 2))
        return name if name.lower() not in taken else next(other for other in numbered if other.lower() not in taken)
