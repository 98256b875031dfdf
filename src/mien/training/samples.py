"""Sample grids of a training: the same codes every time, and training images beside what is made of their codes."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.models.compact_encoder import CompactEncoder
from mien.models.generator import Generator
from mien.models.sampling import USUAL_PSI, images_of, map_latents, random_latents
from mien.ops import resize

_GRID = (8, 4)


def sample_grid(generator: Generator, *, source: Generator | None = None, source_rows: int = 0) -> Tensor:
    """Images of the same 32 codes at every call as one [3, H, W] on the CPU; see `sample_images`."""
    columns, rows = _GRID
    images = sample_images(generator, columns * rows, seed=1, source=source, source_rows=source_rows)
    r = generator.config.resolution
    return images.reshape(rows, columns, 3, r, r).permute(2, 0, 3, 1, 4).reshape(3, rows * r, columns * r)


@torch.no_grad()
def sample_images(
    generator: Generator, count: int, *, seed: int, source: Generator | None = None, source_rows: int = 0
) -> Tensor:
    """Images [count, 3, R, R] on the CPU, with truncation 0.7 and the stored noise; one seed, the same z for every model.

    `source_rows` first rows of every code come from the source's mapping (FreezeSG).
    """
    z = random_latents(generator, count, seed)
    codes = map_latents(generator, z, USUAL_PSI)
    if source is not None and source_rows:
        codes = torch.cat([map_latents(source, z, USUAL_PSI)[:, :source_rows], codes[:, source_rows:]], dim=1)
    return images_of(generator.synthesis, codes)


@torch.no_grad()
def rebuilt_grid(generator: Generator, encoder: CompactEncoder, reals: Tensor) -> Tensor:
    """Sixteen training images above what the averages make of their codes, and of their feature codes too: [3, H, 8 R]."""
    seen = resize(reals, encoder.config.resolution)
    codes, feature_code = encoder.look(seen, generator.mapping.w_avg.expand(len(seen), generator.num_ws, -1))
    noise = generator.synthesis.noise("const")
    shown = [reals, generator(codes, noise)] + (
        [] if feature_code is None else [generator(codes, noise, feature_code=feature_code)]
    )
    rows = [torch.cat(list(images[half : half + 8]), dim=2) for half in (0, 8) for images in shown]
    return torch.cat(rows, dim=1).cpu()
