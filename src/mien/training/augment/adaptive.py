"""Adaptive discriminator augmentation: random changes that the discriminator sees and that do not leak into the generator.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B: pixel blits, geometry and colour
('bgc'), filtering ('f') and corruption ('n'). Every transformation happens with probability `p`; below about 0.8 the generator
does not learn to draw them. All geometry is one affine per picture, all colour one matrix, all filtering one filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from mien.training.augment.disturbance import add_noise, cut_out, filtered
from mien.training.augment.grid_sampling import PIXELS, SAME, SHRINKS, SHRUNK, SMOOTH, sampled
from mien.training.augment.transformations import BLIT, COLOUR, GEOMETRY, chain


@dataclass
class AdaptiveAugment:
    """The augmentation of a batch [N, 3, R, R] with strength `p`, which the trainer may change between steps.

    Can be differentiated twice with respect to the pictures (R1). `p` 0 returns the same tensor. Draw from a CPU generator:
    then nothing waits for an accelerator.
    """

    p: Annotated[float, "probability of each transformation, 0 to 1"] = 0.0
    blit: Annotated[bool, "flips, quarter turns and moves by whole pixels"] = True
    geometry: Annotated[bool, "scale, rotation and moves by parts of a pixel"] = True
    colour: Annotated[bool, "brightness, contrast, luma flip, hue, saturation"] = True
    filter: Annotated[bool, "more or less of four bands of frequencies"] = False
    corruption: Annotated[bool, "noise, and a square that is missing"] = False

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, height, width = pictures.shape
        if channels != 3 or height != width:
            raise ValueError(f"pictures must be [N, 3, R, R], got {list(pictures.shape)}")
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be in 0..1, got {self.p}")
        if self.p == 0:
            return pictures
        affine, kind = torch.eye(3).repeat(n, 1, 1), torch.full((n,), SAME)
        if self.blit:
            affine, touched = chain(BLIT, n, width, self.p, generator)
            kind[touched] = PIXELS
        if self.geometry:
            geometry, touched = chain(GEOMETRY, n, width, self.p, generator)
            affine = affine @ geometry
            kind[touched] = SMOOTH
            kind[touched & (torch.linalg.matrix_norm(affine[:, :2, :2], ord=2) > SHRINKS)] = SHRUNK
        pictures = sampled(pictures, affine, kind)
        if self.colour:
            matrix, _ = chain(COLOUR, n, width, self.p, generator)
            matrix = matrix.to(pictures, non_blocking=True)
            pictures = torch.baddbmm(matrix[:, :3, 3:], matrix[:, :3, :3], pictures.flatten(2)).view_as(pictures)
        if self.filter:
            pictures = filtered(pictures, self.p, generator)
        if self.corruption:
            pictures = cut_out(add_noise(pictures, self.p, generator), self.p, generator)
        return pictures
