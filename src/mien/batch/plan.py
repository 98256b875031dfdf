"""What to make of many photos, and under which names. Nothing here waits for torch."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.batch.config import BatchConfig, FilesConfig
from mien.errors import InputError, MienWarning
from mien.media.storage import is_file


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
