"""The parts of a face, to be seen: random faces of a model, and every part of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.regions_file import Regions
from mien.editing.regions import region_maps
from mien.media.contact_sheet import sheet
from mien.models.generator import Generator
from mien.models.sampling import random_codes

_LARGEST_CELL, _SMALLEST_CELL = 256, 96
_PALE = 0.75  # how far what is not of the part goes to white


@torch.no_grad()
def draw_regions(generator: Generator, regions: Regions, *, faces: int = 6, seed: int = 1, psi: float = 0.7) -> Tensor:
    """A row of random faces and a row per part, in which the rest is pale, [3, H, W] in [-1, 1]."""
    network = generator.synthesis
    noise = network.noise("const")
    rows: list[list[Tensor]] = [[] for _ in range(1 + len(regions.names))]
    for code in torch.split(random_codes(generator, faces, seed=seed, psi=psi), 1):
        styles = network.styles(code)
        face = network.synthesize(styles, noise).clamp(-1, 1)
        parts = region_maps(regions, network.features(styles, noise, (regions.size,))[regions.size])
        parts = F.interpolate(parts, face.shape[-2:], mode="nearest")[0]
        rows[0].append(face[0].cpu())
        for row, part in zip(rows[1:], parts, strict=True):
            row.append(torch.lerp(face[0], torch.ones_like(face[0]), _PALE * (1 - part)).cpu())
    size = min(max(generator.config.resolution, _SMALLEST_CELL), _LARGEST_CELL)
    return sheet(rows, size=size, row_labels=["", *regions.names])
