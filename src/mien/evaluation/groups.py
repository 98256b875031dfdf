"""How quality differs between groups of people: rank-1 retrieval accuracy and skin color of a model's inversions by group.

Who belongs to which group is told by labels in a CSV file, one row for each image: `image,skin,hair,...`, any columns.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mien.errors import InputError
from mien.evaluation.model_report.report_text import markdown_table
from mien.metrics.color import skin_color
from mien.metrics.distances import cosines, nearest_neighbours

IMAGE = "image"


def read_labels(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """{column: the label of each of the images called `names`, in their order}; an empty label belongs to no group.

    Raises `InputError` for a file that cannot be read, has no column `image`, or lacks one of the images.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8.") from error
    if not rows or IMAGE not in rows[0] or len(rows[0]) < 2:
        raise InputError(f"{path} has no column '{IMAGE}' with labels beside it: its first line is `{IMAGE},skin,hair`, say.")
    by_name = {row[IMAGE]: row for row in rows}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise InputError(f"{path} has no row for {missing[0]} ({len(missing)} images lack one): add it, or leave labels empty.")
    return {column: [by_name[name][column].strip() for name in names] for column in rows[0] if column and column != IMAGE}


@dataclass(frozen=True)
class Quality:
    """How well one group is served."""

    group: str
    count: int
    recognized: float
    """Rank-1 retrieval accuracy: share whose nearest photo of all, by identity, is their own."""
    identity: float
    """Mean cosine of the identity embeddings of photo and inversion."""
    color_error: float
    """Mean distance in L*a*b* between the skin of photo and inversion; 2 is just seen, 10 is obvious."""
    lighter: float
    """Mean change of the skin's L*: above 0, the inversion is lighter than the photo."""


def quality_by_group(
    photos: Tensor, inversions: Tensor, embeddings: tuple[Tensor, Tensor], labels: Mapping[str, Sequence[str]]
) -> list[Quality]:
    """Quality of everybody, then of each group in `labels` {column: label of each image}.

    `photos` and their `inversions` are aligned faces [N, 3, R, R] in [-1, 1], `embeddings` the identity embeddings [N, D] of
    both. Everybody is searched for among all N photos, so accuracies of groups of different sizes compare.
    """
    own, made = embeddings
    found = nearest_neighbours(made, own).index[:, 0] == torch.arange(len(own))
    alike, gap = cosines(made, own), skin_color(inversions) - skin_color(photos)

    def quality(group: str, index: Tensor) -> Quality:
        color = gap[index]
        shares = (found[index].double(), alike[index], color.norm(dim=1), color[:, 0])
        return Quality(group, len(index), *(float(values.mean()) for values in shares))

    rows = [quality("everybody", torch.arange(len(own)))]
    for column, each in labels.items():
        for label in dict.fromkeys(label for label in each if label):
            rows.append(quality(f"{column}: {label}", torch.tensor([i for i, one in enumerate(each) if one == label])))
    return rows


def group_table(rows: Sequence[Quality]) -> str:
    """The table in Markdown."""
    head = ["", "images", "rank-1 retrieval accuracy", "identity cosine", "color error of the skin", "skin lighter by"]
    cells = [
        [r.group, str(r.count), f"{r.recognized:.0%}", f"{r.identity:.2f}", f"{r.color_error:.1f}", f"{r.lighter:+.1f}"]
        for r in rows
    ]
    return markdown_table(head, cells)
