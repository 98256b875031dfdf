"""Which crops are kept, and under which names: a pure function of what was found."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from mien.dataset.config import SelectionConfig
from mien.dataset.crops import Why
from mien.dataset.duplicates import Alike, Hash
from mien.dataset.journal import Journal, StoredCrop

# What a file name may not hold somewhere.
_FOREIGN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


@dataclass(frozen=True)
class SourceFile:
    """One image file of the sources."""

    name: str
    """Where it was found, for people."""
    target: str
    """Where its crops go, without ending: the folder that it keeps, and its name."""
    sha: str = ""
    """SHA-256 of its content; empty where it could not be read."""
    why_unread: str = ""


@dataclass(frozen=True)
class Kept:
    """A crop that goes into the data set."""

    target: str
    """Name in the data set, without ending."""
    source: str
    crop: StoredCrop


@dataclass(frozen=True)
class Dropped:
    """An image, or a face in it, that does not, and why."""

    source: str
    why: Why
    detail: str


def select(
    files: Sequence[SourceFile], journal: Journal, config: SelectionConfig, min_side: int
) -> tuple[list[Kept], list[Dropped]]:
    """What is kept, in the order of `files`, and what is not.

    Of images that are alike the one of most pixels stays, and of equal ones the first.
    """
    candidates: list[Kept] = []
    dropped: list[Dropped] = []
    first: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        if file.sha and file.sha in first:
            dropped.append(Dropped(file.name, "same file", f"the same as {first[file.sha]}"))
            continue
        if not file.sha:
            dropped.append(Dropped(file.name, "unreadable", file.why_unread))
            continue
        why, detail = journal.why(file.sha)
        if why is not None:
            dropped.append(Dropped(file.name, why, detail))
            continue
        first[file.sha] = file.name
        crops = journal.crops(file.sha)
        for number, crop in enumerate(crops, 1):
            source = file.name if len(crops) == 1 else f"{file.name} (face {number})"
            fault = _fault(crop, config, min_side)
            if fault is not None:
                dropped.append(Dropped(source, *fault))
                continue
            target = _free(file.target if number == 1 else f"{file.target}-{number}", taken)
            candidates.append(Kept(target, source, crop))
    like = _alike(candidates, config.alike)
    dropped += [Dropped(candidates[a].source, "alike", f"like {candidates[b].source}") for a, b in sorted(like.items())]
    return [kept for index, kept in enumerate(candidates) if index not in like], dropped


def _fault(stored: StoredCrop, config: SelectionConfig, min_side: int) -> tuple[Why, str] | None:
    crop = stored.crop
    if crop.side < min_side:
        return "too small", f"{crop.side} px, and {min_side} are needed"
    if crop.sharpness < config.min_sharpness:
        return "blurred", f"sharpness {crop.sharpness:.3f}, and {config.min_sharpness:g} is needed"
    return None


def _alike(candidates: Sequence[Kept], most_bits: int) -> dict[int, int]:
    """Indices of candidates that show the same as a better one, and the index of that one."""
    seen, order, found = Alike(most_bits), [], {}
    for index in sorted(range(len(candidates)), key=lambda i: -candidates[i].crop.crop.side):
        hashes = candidates[index].crop.crop.hashes
        if hashes is None:
            continue
        own, mirrored = map(_hash, hashes)
        same = seen.find(own, mirrored)
        if same is None:
            seen.add(own)
            order.append(index)
        else:
            found[index] = order[same]
    return found


def _hash(text: str) -> Hash:
    return np.frombuffer(bytes.fromhex(text), dtype=np.uint8)


def _free(target: str, taken: set[str]) -> str:
    """The name, or with a number behind it where it is taken; of names that differ in case only, one is taken too."""
    name, number = target, 1
    while name.casefold() in taken:
        number += 1
        name = f"{target}-{number}"
    taken.add(name.casefold())
    return name


def target_of(name: str, folder: str = "") -> str:
    """Where the crops of an image go: its sub-folders, or else `folder`, and its name without ending.

    Nothing in it leads out of a folder, whatever a zip says; names that some system refuses are made plain.
    """
    parts = [_FOREIGN.sub("_", part).strip(" ") for part in PurePosixPath(name.replace("\\", "/")).with_suffix("").parts]
    parts = [part for part in parts if part.strip("./ ")]
    if not parts:
        parts = [hashlib.sha256(name.encode()).hexdigest()[:8]]
    if len(parts) == 1 and folder:
        parts = [folder, *parts]
    # Long names keep their beginning and end in something that tells them apart.
    return "/".join(p if len(p.encode()) <= 200 else f"{p[:60]}-{hashlib.sha256(p.encode()).hexdigest()[:8]}" for p in parts)
