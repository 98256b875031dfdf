"""A user study as a tool: two methods' images of the same photos, side by side, without names.

Chong & Forsyth 2022 asked people which of two methods they prefer. Here every pair has a number; which side a method is on is
shuffled, each side equally often, and stands in a key file that nobody needs to open before the votes are in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.errors import InputError
from mien.evaluation.config import BlindConfig
from mien.evaluation.outputs import SIDE, read_faces, read_outputs, read_references
from mien.evaluation.votes import KEY, VOTES, empty_votes, has_votes, vote_files
from mien.files import write_whole
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, write_image
from mien.runtime import seeded


@dataclass
class Blind:
    """A study that was laid out."""

    files: list[Path]
    pairs: int
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def lay_out_study(
    outputs: Mapping[str, Path], photos: Sequence[Path], folder: Path, config: BlindConfig | None = None, *,
    reference: Path | Mapping[str, Path] | None = None, overwrite: bool = False,
) -> Blind:  # fmt: skip
    """Write sheets of pairs, `votes.csv` to be filled in and the hidden key to `folder`.

    `outputs` are two folders, by the names of their methods, with images called as the photos are. Of every photo that both
    have, the largest face is shown: the photo, then A and B; `reference` is shown beside each, or by the stem of each
    photo its own. Raises `InputError` when a study is in `folder` already, unless `overwrite`.
    """
    config = config or BlindConfig()
    if len(outputs) != 2:
        raise InputError(f"A pair needs two methods, and {len(outputs)} folders of outputs are given: give two.")
    if config.rows < 1:
        raise InputError(f"`rows` must be at least 1, got {config.rows}.")
    old = _earlier(folder, overwrite=overwrite)
    faces, failed = read_faces(photos, aligned=config.aligned)
    made = {name: read_outputs(name, place, faces, config.outputs_are) for name, place in outputs.items()}
    first, second = outputs
    both = sorted(made[first].images.keys() & made[second].images.keys())
    if not both:
        raise InputError(f"{first} and {second} have no photo in common: give folders with images of the same photos.")
    of_photo = reference if isinstance(reference, Mapping) else dict.fromkeys([f.path.stem for f in faces], reference)
    shown = {
        path: None if path is None else read_references([path], aligned=config.reference_aligned)[0]
        for path in set(of_photo.values())
    }
    # Each method is on the left equally often, so that a habit of choosing one side cannot decide.
    random = seeded(config.seed)
    order = [both[i] for i in torch.randperm(len(both), generator=random)]
    swapped = [bool(place % 2) for place in torch.randperm(len(both), generator=random)]
    sides = [(second, first) if swap else (first, second) for swap in swapped]
    rows = [
        [shown[of_photo[faces[i].path.stem]], faces[i].crops[SIDE], *(made[side].images[i] for side in two)]
        for i, two in zip(order, sides, strict=True)
    ]
    for path in old:
        path.unlink()
    key: dict[str, Any] = {
        "methods": [first, second],
        "seed": config.seed,
        "pairs": {
            str(number): {"photo": faces[i].path.name, "A": two[0], "B": two[1]}
            for number, (i, two) in enumerate(zip(order, sides, strict=True), start=1)
        },
    }
    files = [*_sheets(rows, folder, config.rows), folder / VOTES, folder / KEY]
    write_whole(folder / VOTES, empty_votes(key["pairs"]))
    write_whole(folder / KEY, json.dumps(key, indent=2, ensure_ascii=False) + "\n")
    notes = [note for name, found in made.items() for note in found.notes(name)]
    return Blind(files, len(both), notes, failed)


def _earlier(folder: Path, *, overwrite: bool) -> list[Path]:
    """The files of an earlier study, which may go; votes may not, whatever is allowed."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and the sheets need a folder: give another `out`.")
    files = [*folder.glob(KEY), *sorted(folder.glob("sheet-*.png")), *vote_files(folder)]
    if files and not overwrite:
        raise InputError(f"{folder} holds {files[0].name} already: give another `out`, or `overwrite` to replace the study.")
    voted = next((file for file in vote_files(folder) if has_votes(file)), None)
    if voted:
        raise InputError(
            f"There are votes in {voted}, which would count for other pairs: give another `out`, or move them away."
        )
    return files


def _sheets(rows: Sequence[Sequence[Tensor | None]], folder: Path, per_page: int) -> list[Path]:
    heads = ["reference", "photo", "A", "B"]
    skip = int(all(row[0] is None for row in rows))
    files = []
    for start in range(0, len(rows), per_page):
        part = rows[start : start + per_page]
        labels = [str(start + line + 1) for line in range(len(part))]
        image = sheet([row[skip:] for row in part], size=SIDE, row_labels=labels, column_labels=heads[skip:], gap=8)
        files.append(write_image(folder / f"sheet-{start // per_page + 1:02}.png", from_tensor(image), overwrite=True))
    return files
