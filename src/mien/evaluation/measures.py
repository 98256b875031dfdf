"""How well a style works on people: close to its reference, and still preserving identity.

Every measure is taken for each photo, so that it has a mean and a spread; every image is compared with its own photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mien.faces.expression import Expression, expression_distance, measure_expression
from mien.media.contact_sheet import sheet
from mien.metrics.distances import cosines, frechet_distance, kernel_distance
from mien.metrics.perceptual import style_distance
from mien.metrics.spaces import MetricNetworks
from mien.ops.resample import resize
from mien.runtime import seeded

_SMALLEST = 64  # side in pixels of the crops whose expression is measured
SHEET_ROWS = 12
"""Photos that the contact sheet shows: the first ones."""


@dataclass(frozen=True)
class Candidate:
    """What one method made of the photos."""

    name: str
    index: Sequence[int]
    """Which photos it has images of."""
    images: Tensor
    """The same faces by the method, [len(index), 3, S, S] in [-1, 1]."""
    references: Tensor | None = None
    """The style's references, [M, 3, T, T]; without them what is measured against them is left out."""
    seconds: Sequence[float] | None = None
    """Time that each photo took, if it is known."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else is to be told of it."""


@dataclass
class Evaluation:
    """The outcome: plain numbers, and a contact sheet [3, H, W]."""

    numbers: dict[str, Any]
    sheet: Tensor
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Photos that could not be used, and why."""


def measure(
    names: Sequence[str],
    photos: Tensor,
    candidates: Sequence[Candidate],
    instruments: MetricNetworks,
    own_set: Tensor | None = None,
) -> Evaluation:
    """Measure what every candidate made of the `photos` [N, 3, S, S] in [-1, 1], which are called `names`.

    `own_set` [M, 3, T, T]: images in the style, made by whoever made the reference, for Frechet and kernel distance.
    """
    own = _Vectors(instruments.identity.vectors(photos), instruments.looks.vectors(photos))
    target = None if own_set is None else instruments.looks.vectors(own_set)
    numbers: dict[str, Any] = {
        "photos": list(names),
        "features": instruments.looks.name,
        "identity": instruments.identity.name,
        "weights": {instruments.looks.name: instruments.looks.weights, instruments.identity.name: instruments.identity.weights},
        "methods": {c.name: _method(c, names, photos, own, instruments, target) for c in candidates},
    }
    if target is not None:
        order = torch.randperm(len(target), generator=seeded(0))
        halves = target[order[: len(target) // 2]], target[order[len(target) // 2 :]]
        numbers["set"] = {
            "count": len(target),
            "photos": _set_distances(own.looks, target),
            "halves": _set_distances(*halves),
        }
    return Evaluation(numbers, _sheet(names, photos, candidates, numbers))


@dataclass(frozen=True)
class _Vectors:
    identity: Tensor
    looks: Tensor


def _method(
    given: Candidate, names: Sequence[str], photos: Tensor, own: _Vectors, instruments: MetricNetworks, target: Tensor | None
) -> dict[str, Any]:
    index = torch.tensor(given.index)
    who, looks = instruments.identity.vectors(given.images), instruments.looks.vectors(given.images)
    each: dict[str, Tensor] = {
        "identity": cosines(who, own.identity[index]),
        "recognized": (torch.stack([_cosine(row, own.identity) for row in who]).argmax(1) == index).double(),
    }
    if len(index) > 1:
        each["people_apart"] = _apart(who) / _apart(own.identity[index]).mean().clamp(min=1e-6)
        each["looks_apart"] = _apart(looks) / _apart(own.looks[index]).mean().clamp(min=1e-6)
    if given.references is not None:
        far = style_distance(instruments.looks, given.images, given.references)
        start = style_distance(instruments.looks, photos[index], given.references)
        role = instruments.identity.vectors(given.references)
        each["style_distance"], each["style_taken"] = far, 1 - far / start.clamp(min=1e-6)
        each["like_reference"] = torch.stack([_cosine(row, role).max() for row in who])
        each["photo_like_reference"] = torch.stack([_cosine(row, role).max() for row in own.identity[index]])
    each |= _moved(given.images, photos[index], given.references)
    if given.seconds is not None:
        each["seconds"] = torch.tensor(given.seconds)
    found: dict[str, Any] = {
        "count": len(index),
        **given.facts,
        **{name: _summary(values) for name, values in each.items()},
        "each": {names[i]: {name: float(values[row]) for name, values in each.items()} for row, i in enumerate(given.index)},
    }
    if target is not None:
        found["set"] = _set_distances(looks, target)
    return found


def _moved(images: Tensor, photos: Tensor, references: Tensor | None) -> dict[str, Tensor]:
    """How far gaze and mouth are from the photo's; and how far they would be, if all looked as the first reference does."""
    made, was = _expression(images), _expression(photos)
    gap = expression_distance(made, was)
    found = {"gaze": gap.gaze, "mouth": gap.mouth}
    if references is not None:
        role = _expression(references[:1].expand(len(photos), -1, -1, -1))
        gap = expression_distance(role, was)
        found |= {"gaze_of_reference": gap.gaze, "mouth_of_reference": gap.mouth}
    return found


def _expression(crops: Tensor) -> Expression:
    # The eyes of a smaller face are enlarged: there is nothing to measure otherwise.
    return measure_expression(crops if crops.shape[-1] >= _SMALLEST else resize(crops, _SMALLEST))


def _cosine(row: Tensor, others: Tensor) -> Tensor:
    """Cosine [M] of one vector [D] with each of `others` [M, D]."""
    return cosines(row[None].expand_as(others), others)


def _apart(vectors: Tensor) -> Tensor:
    """Mean distance [N] of every row of [N, D] to all others."""
    return torch.cdist(vectors.double(), vectors.double()).sum(1) / (len(vectors) - 1)


def _summary(values: Tensor) -> dict[str, float]:
    return {"mean": float(values.double().mean()), "spread": float(values.double().std(correction=0))}


def _set_distances(vectors: Tensor, others: Tensor) -> dict[str, Any] | None:
    """Frechet and kernel distance of two sets of vectors; None where one has fewer than two."""
    if min(len(vectors), len(others)) < 2:
        return None
    return {
        "frechet": frechet_distance(vectors, others),
        "kernel": kernel_distance(vectors, others),
        "counts": [len(vectors), len(others)],
    }


def _sheet(names: Sequence[str], photos: Tensor, candidates: Sequence[Candidate], numbers: Mapping[str, Any]) -> Tensor:
    """Photos below each other, and beside each what every method made of it; the references on top."""
    rows: list[list[Tensor | None]] = []
    captions: list[list[str | None]] = []
    labels = []
    if any(c.references is not None for c in candidates):
        rows.append([None, *(None if c.references is None else c.references[0] for c in candidates)])
        captions.append([None] * (1 + len(candidates)))
        labels.append("reference")
    for i in range(min(SHEET_ROWS, len(photos))):
        made = [c.images[list(c.index).index(i)] if i in c.index else None for c in candidates]
        each = [numbers["methods"][c.name]["each"].get(names[i]) for c in candidates]
        rows.append([photos[i], *made])
        captions.append([None, *(None if e is None else f"identity {e['identity']:.2f}" for e in each)])
        labels.append(names[i])
    heads = ["photo", *(c.name for c in candidates)]
    return sheet(rows, size=160, row_labels=labels, column_labels=heads, captions=captions)
