"""What to make of many photos, and under which names. Nothing here waits for torch."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.batch.config import BatchConfig, FilesConfig
from mien.errors import InputError, MienWarning
from mien.media.storage import is_address, is_file, is_folder, is_there


@dataclass(frozen=True)
class Job:
    """One image to make: the photo, the index of the style and the file to write."""

    photo: Path
    style: int
    out: Path


def jobs_in_folder(photos: Mapping[Path, str], styles: Sequence[str], out: Path) -> list[Job]:
    """The jobs of several images {photo: its name in the folder that was given}, under names that say what they are of.

    `<stem>.png` for one style and `<stem>_<style>.png` for several. Photos of one stem get their ending too: `<stem>_jpg.png`.
    Out of deeper folders their names come before: `<folder>_<stem>.png`. Raises `InputError` where two would have one name.
    """
    twice = [name for name, count in Counter(styles).items() if count > 1]
    if twice:
        raise InputError(f"Two styles are called '{twice[0]}', so their images would have one name: rename one of the files.")
    named = {photo: "_".join(Path(name).with_suffix("").parts) for photo, name in photos.items()}
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


def share_of(jobs: Sequence[Job], photos: Mapping[Path, str], shard: tuple[int, int]) -> list[Job]:
    """The jobs of one of several machines (number from 1, how many), by a hash of the photo's name in its folder.

    So a photo's share does not depend on the other photos, nor on where the folder lies.
    """
    number, count = shard
    return [job for job in jobs if _hash(photos[job.photo]) % count == number - 1]


def divided(jobs: Sequence[Job], photos: Mapping[Path, str], files: FilesConfig) -> tuple[list[Job], list[Job]]:
    """The share of the work that is to be done, and what of it is there already (with a note), as `files` says."""
    if isinstance(files, BatchConfig):
        jobs = share_of(jobs, photos, files.shard_numbers)
    there = [job for job in jobs if files.skip_existing and is_file(job.out)]
    if there:
        warnings.warn(f"{len(there)} of {len(jobs)} images were there already.", MienWarning, stacklevel=3)
    done = {job.out for job in there}
    return [job for job in jobs if job.out not in done], there


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")


WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Endings that images are written in."""


def check_outputs(outs: Sequence[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse outputs that are inputs, that exist (without `overwrite`) or that cannot be written; create their folders."""
    sources = {_identity(path): path for path in inputs}
    for out in outs:
        if _identity(out) in sources:
            raise InputError(f"{out} is also an input, and is never overwritten: give another `out`.")
        if is_folder(out):
            raise InputError(f"{out} is a folder, and a file is to be written there: give a file name.")
    there = [] if overwrite else [str(out) for out in outs if is_there(out)]
    if there:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        on = "`skip_existing` to make only the others, " if len(outs) > 1 else ""
        raise InputError(f"{', '.join(there[:3])}{more} exists already: give another `out`, {on}or `overwrite` to replace it.")
    for folder in dict.fromkeys(out.parent for out in outs):
        writable_folder(folder)


def writable_folder(folder: Path) -> None:
    """Make a folder that can be written to; raises `InputError` where it cannot. Of an address nothing is known before."""
    if is_address(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Asking the file system is the only answer that holds for quotas, network shares and read-only mounts.
        handle, name = tempfile.mkstemp(dir=folder, prefix=".mien-")
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be written to ({error.strerror}): give another `out`.") from error


def _identity(path: Path) -> str:
    return str(path) if is_address(path) else os.path.normcase(path.resolve())
