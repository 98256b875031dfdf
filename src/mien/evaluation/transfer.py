"""How well a model was carried over to other images: how near it came to them, and how much of the source's faces it kept.

Nearness is the Frechet and the kernel distance to the target's images. Structure is compared image by image, for the
same latents: gradients are counted by direction in 8 x 8 cells, which leaves out color and shading, and each set is centered
first, which leaves out what all faces of a domain share. So two networks without anything to do with each other score 0, as
does one that always draws the same face, and equal networks score 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.evaluation.model_report.report_text import markdown_table
from mien.metrics.distances import cosines, frechet_distance, kernel_distance, nearest_neighbours

_SIDE, _CELLS, _DIRECTIONS = 64, 8, 8


def layout_features(images: Tensor) -> Tensor:
    """Where an image has edges, and in which direction: [N, 512] of images [N, 3, R, R] in [-1, 1], R from 64.

    Histograms of oriented gradients (Dalal & Triggs 2005) with unsigned directions, scaled to unit length in every cell.
    """
    if images.ndim != 4 or images.shape[-1] != images.shape[-2]:
        raise ValueError(f"images must be square, [N, 3, R, R], got {list(images.shape)}")
    gray = F.interpolate(images.mean(dim=1, keepdim=True), (_SIDE, _SIDE), mode="bilinear", antialias=True)
    around = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    dx, dy = around[..., 1:-1, 2:] - around[..., 1:-1, :-2], around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    strength, angle = torch.hypot(dx, dy), torch.atan2(dy, dx) % math.pi
    # Each gradient counts for the two directions that it lies between.
    directions = torch.arange(_DIRECTIONS, device=images.device).reshape(1, -1, 1, 1)
    away = (angle / math.pi * _DIRECTIONS - directions).abs()
    near = (1 - torch.minimum(away, _DIRECTIONS - away)).clamp(min=0)
    cells = F.avg_pool2d(near * strength, _SIDE // _CELLS)
    scaled: Tensor = cells / (cells.norm(dim=1, keepdim=True) + 0.02)
    return scaled.flatten(1)


@dataclass(frozen=True)
class Kept:
    """How much of a source's images is in a target's."""

    structure: float
    """Mean cosine of the centered layouts of pairs: 1 for equal images, 0 for unrelated ones."""
    found: float
    """Share of the sources whose own image is the nearest of all the target's: 1 / N by chance."""


def structure_kept(source: Tensor, target: Tensor) -> Kept:
    """Compare layouts [N, D] of N images of a source with those of a target for the same latents."""
    one, other = (x.double() - x.double().mean(dim=0) for x in (source, target))
    nearest = nearest_neighbours(one, other).index[:, 0]
    return Kept(float(cosines(one, other).mean()), float((nearest == torch.arange(len(one))).double().mean()))


@dataclass(frozen=True)
class Transfer:
    """One row of the table."""

    name: str
    frechet: float
    kernel: float
    kept: Kept


def measure_transfer(name: str, layouts: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]) -> Transfer:
    """`layouts` of the source's and of the model's images, `features` of the model's and of the target's images."""
    return Transfer(name, frechet_distance(*features), kernel_distance(*features), structure_kept(*layouts))


def transfer_table(rows: Sequence[Transfer], floor: tuple[float, float], count: int, features: str) -> str:
    """The table in Markdown; `floor` are the two distances between halves of the target's own images."""
    head = ["", f"FD-{features} to the target", f"KD-{features} x 1000", "structure kept", "own face found"]
    shown = [
        [r.name, f"{r.frechet:.1f}", f"{r.kernel * 1000:.1f}", f"{r.kept.structure:.3f}", f"{r.kept.found:.3f}"] for r in rows
    ]
    shown.append(["target, half against half", f"{floor[0]:.1f}", f"{floor[1] * 1000:.1f}", "", f"{1 / count:.3f} by chance"])
    return markdown_table(head, shown) + "\n"
