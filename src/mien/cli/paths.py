"""Which files go in and which come out: all of it is decided, and every problem told, before any work starts."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.streams import STDOUT, write_bytes
from mien.errors import InputError, MienWarning
from mien.media.listing import list_pictures
from mien.shipped import refuse_address, shipped

if TYPE_CHECKING:
    from mien.media.picture import Picture

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Job:
    """One picture to make: the photo, the index of the style and the file to write."""

    photo: Path
    style: int
    out: Path


def photos_in(inputs: Sequence[Path], *, recursive: bool = False) -> list[Path]:
    """The pictures named, and those in the folders named (sorted by name, `recursive`: also deeper), each once; - is stdin."""
    found: list[Path] = []
    for path in inputs:
        if str(path) == STDOUT:
            found.append(_from_stdin())
        else:
            found += list_pictures(path, recursive=recursive) if path.is_dir() else [existing(path)]
    return list(dict.fromkeys(found))


def existing(path: Path) -> Path:
    """The path, if there is a file; for the name of what ships with mien or of a published model, where that one is kept."""
    if found := shipped(path):
        return found
    if not path.exists():
        refuse_address(path)
        if path.name == str(path) and not path.suffix:  # names of models are such: others are told without waiting for torch
            from mien.checkpoint.hub.published import located

            path = located(path)
    if not path.exists():
        raise InputError(f"There is no file {path}: check its name.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a file is needed here.")
    return path


def _from_stdin() -> Path:
    """What stdin gives, as a file that goes with the process."""
    from mien.media.images import MAX_BYTES

    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("- is a picture from stdin, which is a terminal here: send a file, as in `cat me.jpg | mien ...`.")
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InputError(f"stdin gives more than the {MAX_BYTES >> 20} MiB that are read: give a smaller picture.")
    folder = Path(tempfile.mkdtemp(prefix="mien-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "stdin").write_bytes(content)
    return folder / "stdin"


def plan(
    inputs: Sequence[Path], styles: Sequence[str], out: Path, *, overwrite: bool, recursive: bool = False,
    skip_existing: bool = False,
) -> list[Job]:  # fmt: skip
    """What to make of `inputs` (files and folders) in each of `styles` (names), and where.

    One photo and one style: `out` is the file, or a folder to put `<stem>.png` into. Otherwise `out` is a folder, with
    `<stem>.png` for one style and `<stem>_<style>.png` for several. Photos of one stem get their ending too: `<stem>_jpg.png`.
    Out of deeper folders their names come before: `<folder>_<stem>.png`. - is stdout, for one picture. With `skip_existing`,
    pictures that are there are not made again.
    """
    photos = photos_in(inputs, recursive=recursive)
    single = len(photos) == 1 and len(styles) == 1 and not any(p.is_dir() for p in inputs)
    if str(out) == STDOUT:
        if not single:
            raise InputError(f"-o - writes one picture to stdout, and {len(photos) * len(styles)} come out: give a folder.")
        if sys.stdout.isatty():
            raise InputError("-o - writes the picture to stdout, which is a terminal here: send it elsewhere.")
        return [Job(photos[0], 0, out)]
    if single and not out.is_dir() and out.suffix:
        jobs = [Job(photos[0], 0, picture_name(out))]
    else:
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file, and {len(photos) * len(styles)} pictures need a folder: give another -o.")
        if out.suffix.lower() in WRITABLE and not out.is_dir():
            raise InputError(f"-o {out} looks like one file, but {len(photos) * len(styles)} pictures come out: give a folder.")
        jobs = _in_folder(inputs, photos, styles, out)
    if skip_existing:
        left = [job for job in jobs if not job.out.is_file()]
        if len(left) < len(jobs):
            warnings.warn(f"{len(jobs) - len(left)} of {len(jobs)} pictures were there already.", MienWarning, stacklevel=2)
        jobs = left
    check_outputs([job.out for job in jobs], photos, overwrite=overwrite)
    return jobs


def _in_folder(inputs: Sequence[Path], photos: Sequence[Path], styles: Sequence[str], out: Path) -> list[Job]:
    """The jobs of several pictures: names that say which photo and style they are of."""
    twice = [name for name, count in Counter(styles).items() if count > 1]
    if twice:
        raise InputError(f"Two styles are called '{twice[0]}', so their pictures would have one name: rename one of the files.")
    named = {photo: _stem(photo, inputs) for photo in photos}
    stems = Counter(named.values())
    jobs = []
    for photo, stem in named.items():
        stem = stem if stems[stem] == 1 else f"{stem}_{photo.suffix[1:].lower()}"
        jobs += [Job(photo, i, out / (f"{stem}.png" if len(styles) == 1 else f"{stem}_{s}.png")) for i, s in enumerate(styles)]
    meant = Counter(job.out for job in jobs)
    clash = next((path for path, count in meant.items() if count > 1), None)
    if clash:
        raise InputError(
            f"Several of the photos would be written to {clash}: give folders with different file names one by one."
        )
    return jobs


def _stem(photo: Path, inputs: Sequence[Path]) -> str:
    """`2020_me` of the photo `2020/me.jpg` in a folder that was named."""
    folder = next((path for path in inputs if path.is_dir() and path in photo.parents), photo.parent)
    return "_".join(photo.relative_to(folder).with_suffix("").parts)


def write_out(out: Path, picture: Picture, *, overwrite: bool) -> None:
    """Write a picture to its file, or as PNG to stdout. What another process has written meanwhile is not replaced unasked."""
    from mien.media.images import encode_picture, write_picture

    if str(out) == STDOUT:
        write_bytes(encode_picture(picture, "PNG"))
    else:
        write_picture(out, picture, overwrite=overwrite)


def make_folder(out: Path, why: str) -> None:
    """Make the folder that several pictures go into; raises `InputError`, which says `why` it is one, for a file's name."""
    if str(out) == STDOUT or out.suffix.lower() in WRITABLE or out.is_file():
        raise InputError(f"-o {out} is one file, and {why}: give a folder.")
    _writable_folder(out)


def picture_name(out: Path) -> Path:
    """The path, if its ending is one that pictures are written in."""
    if out.suffix.lower() not in WRITABLE:
        raise InputError(f"{out} must end in one of {', '.join(WRITABLE)}: that says in which format the picture is written.")
    return out


def check_outputs(outs: Sequence[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse outputs that are inputs, that exist (without `overwrite`) or that cannot be written; create their folders."""
    outs = [out for out in outs if str(out) != STDOUT]
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
