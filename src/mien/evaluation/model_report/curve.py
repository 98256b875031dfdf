"""Quality against training time: the numbers of several reports on snapshots of one model, as a table and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mien.errors import InputError, shown
from mien.evaluation.model_report.report_text import NUMBERS
from mien.files import parse_json, read_text
from mien.media.eight_bit import from_uint8

_SIZE, _LEFT, _BOTTOM, _AROUND = (640, 400), 70, 56, 24
_LINE, _FLOOR, _INK = (30, 90, 170), (150, 150, 150), (40, 40, 40)


@dataclass(frozen=True)
class Point:
    """One snapshot."""

    hours: float | None
    """Hours of training so far, where known."""
    images_seen: int
    """Training images shown so far."""
    resolution: int
    """Side of its images in pixels."""
    count: int
    """Samples compared: distances of other counts do not compare."""
    fd: float
    """Frechet distance of the samples at psi 1 to half A of the training set."""
    features: str
    """The feature extractor of the distances: those of others are not comparable."""
    floor: float
    """The same of half B; depends on the resolution."""


def point_of(numbers: Mapping[str, Any]) -> Point | None:
    """What a report's numbers say about the curve; None where they lack the distances."""
    found = numbers.get("distribution")
    if not found or "fd" not in found["samples_vs_half_a"]:
        return None
    return Point(
        numbers.get("hours"),
        numbers["model"]["images_seen"],
        numbers["model"]["resolution"],
        found["count"],
        found["samples_vs_half_a"]["fd"],
        numbers["features"],
        found["half_b_vs_half_a"]["fd"],
    )


def read_point(folder: Path) -> Point:
    """The point of the report in `folder`. Raises `InputError` when there is none with distances."""
    path = folder / NUMBERS
    try:
        found: Any = parse_json(read_text(path), path)
        point = point_of(found)
        if point is not None:
            values = asdict(point)
            if not isinstance(values.pop("features"), str):
                raise ValueError("an extractor without a name")
            if not all(type(n) in (int, float) and 0 <= n < 1e15 for n in values.values() if n is not None):
                raise ValueError("a number that cannot be")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a report's numbers ({shown(error)}): give the folder of an earlier `mien report`."
        ) from error
    if point is None:
        raise InputError(
            f"The report in {folder} has no distances of a feature extractor that is known here: make it again with `data`."
        )
    return point


def curve(points: Sequence[Point]) -> tuple[dict[str, Any], Tensor]:
    """The points in order of training, as plain values, and their chart [3, H, W] in [-1, 1].

    Raises `InputError` where they compared different numbers of images.
    """
    if len({point.count for point in points}) != 1:
        counts = ", ".join(map(str, sorted({point.count for point in points})))
        raise InputError(f"The reports compare {counts} images, and such distances do not compare: measure with one `samples`.")
    if len({point.features for point in points}) != 1:
        raise InputError("The reports measure by different feature extractors, and such distances do not compare: use one.")
    by_hours = all(point.hours is not None for point in points)
    ordered = sorted(points, key=lambda point: (point.hours or 0.0) if by_hours else point.images_seen)
    across = [(point.hours or 0.0) if by_hours else point.images_seen / 1000 for point in ordered]
    axis = "hours of training" if by_hours else "training images shown, in thousands"
    document = {"axis": axis, "features": points[0].features, "points": [asdict(point) for point in ordered]}
    return document, _chart(ordered, across, axis)


def _chart(points: Sequence[Point], across: Sequence[float], axis: str) -> Tensor:
    font = ImageFont.load_default(size=13)
    canvas = Image.new("RGB", _SIZE, (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    right, top, bottom = _SIZE[0] - _AROUND, _AROUND + 8, _SIZE[1] - _BOTTOM
    most_x = max(across) or 1.0
    most_y = 1.08 * max(max(point.fd, point.floor) for point in points) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + x / most_x * (right - _LEFT), bottom - y / most_y * (bottom - top)

    for step in range(5):
        x, y = most_x * step / 4, most_y * step / 4
        draw.line([place(0, y), place(most_x, y)], fill=(225, 225, 225))
        draw.text((_LEFT - 8, place(0, y)[1]), f"{y:.3g}", fill=_INK, font=font, anchor="rm")
        draw.text((place(x, 0)[0], bottom + 6), f"{x:.3g}", fill=_INK, font=font, anchor="mt")
    draw.text(((_LEFT + right) / 2, _SIZE[1] - 12), axis, fill=_INK, font=font, anchor="mb")
    title = f"FD-{points[0].features} of {points[0].count} samples; gray: half B of the training set"
    draw.text((_LEFT, 6), title, fill=_INK, font=font)
    for color, values in ((_FLOOR, [p.floor for p in points]), (_LINE, [p.fd for p in points])):
        places = [place(x, y) for x, y in zip(across, values, strict=True)]
        if len(places) > 1:
            draw.line(places, fill=color, width=2)
        for x, y in places:
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=color)
    for point, x in zip(points, across, strict=True):
        left, y = place(x, point.fd)
        draw.text((left, y - 9), f"{point.resolution} px", fill=_LINE, font=font, anchor="rb" if left > right - 30 else "mb")
    return from_uint8(torch.from_numpy(np.array(canvas)).permute(2, 0, 1))
