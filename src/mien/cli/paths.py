"""Which files go in and which come out: all of it is decided, and every problem told, before any work starts."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Job:
    """One picture to make: the photo, the index of the style and the file to write."""

    photo: Path
    style: int
    out: Path


def photos_in(inputs: Sequence[Path]) -> list[Path]:
    """The pictures named, and those in the folders named (sorted by name, not deeper), each once."""
    from mien.media.images import list_pictures

    found: list[Path] = []
    for path in inputs:
        found += list_pictures(path) if path.is_dir() else [existing(path)]
    return list(dict.fromkeys(found))


def existing(path: Path) -> Path:
    """The path, if there is a file; for the name of a published model, where that one is kept."""
    if not path.exists():
        from mien.checkpoint.hub.published import located

        path = located(path)
    if not path.exists():
        raise InputError(f"There is no file {path}: check its name.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a file is needed here.")
    return path


def plan(inputs: Sequence[Path], styles: Sequence[str], out: Path, *, overwrite: bool) -> list[Job]:
    """What to make of `inputs` (files and folders) in each of `styles` (names), and where.

    One photo and one style: `out` is the file, or a folder to put `<stem>.png` into. Otherwise `out` is a folder, with
    `<stem>.png` for one style and `<stem>_<style>.png` for several. Photos of one stem get their ending too: `<stem>_jpg.png`.
    """
    photos = photos_in(inputs)
    single = len(photos) == 1 and len(styles) == 1 and not any(p.is_dir() for p in inputs)
    if single and not out.is_dir() and out.suffix:
        jobs = [Job(photos[0], 0, picture_name(out))]
    else:
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file, and {len(photos) * len(styles)} pictures need a folder: give another -o.")
        if out.suffix.lower() in WRITABLE and not out.is_dir():
            raise InputError(f"-o {out} looks like one file, but {len(photos) * len(styles)} pictures come out: give a folder.")
        stems, names = Counter(p.stem for p in photos), Counter(styles)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise InputError(
                f"Two styles are called '{twice[0]}', so their pictures would have one name: rename one of the files."
            )
        jobs = []
        for photo in photos:
            stem = photo.stem if stems[photo.stem] == 1 else f"{photo.stem}_{photo.suffix[1:].lower()}"
            jobs += [
                Job(photo, i, out / (f"{stem}.png" if len(styles) == 1 else f"{stem}_{s}.png")) for i, s in enumerate(styles)
            ]
        meant = Counter(job.out for job in jobs)
        clash = next((path for path, count in meant.items() if count > 1), None)
        if clash:
            raise InputError(
                f"Several of the photos would be written to {clash}: give folders with different file names one by one."
            )
    check_outputs([job.out for job in jobs], photos, overwrite=overwrite)
    return jobs


def picture_name(out: Path) -> Path:
    """The path, if its ending is one that pictures are written in."""
    if out.suffix.lower() not in WRITABLE:
        raise InputError(f"{out} must end in one of {', '.join(WRITABLE)}: that says in which format the picture is written.")
    return out


def check_outputs(outs: Sequence[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse outputs that are inputs, that exist (without `overwrite`) or that cannot be written; create their folders."""
    sources = {_identity(path): path for path in inputs}
    for out in outs:
        if _identity(out) in sources:
            raise InputError(f"{out} is also an input, and is never overwritten: give another -o.")
        if out.is_dir():
            raise InputError(f"{out} is a folder, and a file is to be written there: give a file name.")
    there = [str(out) for out in outs if out.exists()]
    if there and not overwrite:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        raise InputError(f"{', '.join(there[:3])}{more} exists already: give another -o, or --overwrite to replace it.")
    for folder in dict.fromkeys(out.parent for out in outs):
        _writable_folder(folder)


def _identity(path: Path) -> str:
    return os.path.normcase(path.resolve())


def _writable_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Asking the file system is the only answer that holds for quotas, network shares and read-only mounts.
        handle, name = tempfile.mkstemp(dir=folder, prefix=".mien-")
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be written to ({error.strerror}): give another -o.") from error
