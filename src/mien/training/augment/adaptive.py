"""Adaptive discriminator augmentation: random changes that the discriminator sees and that do not leak into the generator.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B: pixel blits, geometry and color
('bgc'), filtering ('f') and corruption ('n'). Every transformation happens with probability `p`; below about 0.8 the generator
does not learn to draw them. All geometry is one affine per image, all color one matrix, all filtering one filter.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from mien.training.augment.disturbance import add_noise, cut_out, filtered
from mien.training.augment.grid_sampling import PIXELS, SAME, SMOOTH, sampled
from mien.training.augment.transformations import BLIT, COLOR, GEOMETRY, chain


@dataclass
class AdaptiveAugment:
    """The augmentation of a batch [N, 3, R, R] with strength `p`, which the trainer changes between steps.

    Can be differentiated twice with respect to the images (R1). Draw from a generator on the images' device: with
    `fixed_shapes` nothing then waits for an accelerator, and the whole is fit for a CUDA graph.
    """

    strength: InitVar[Annotated[float, "probability of each transformation at the start, 0 to 1"]] = 0.0
    blit: Annotated[bool, "flips, quarter turns and moves by whole pixels"] = True
    geometry: Annotated[bool, "scale, rotation and moves by parts of a pixel"] = True
    color: Annotated[bool, "brightness, contrast, luma flip, hue, saturation"] = True
    filter: Annotated[bool, "more or less of four bands of frequencies"] = False
    corruption: Annotated[bool, "noise, and a square that is missing"] = False
    fixed_shapes: Annotated[bool, "nothing depends on the values of the random numbers; the results are the same"] = False
    p: Annotated[Tensor, "the strength now, a scalar on the images' device"] = field(init=False)

    def __post_init__(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ValueError(f"p must be in 0..1, got {strength}")
        self.p = torch.tensor(float(strength))

    def to(self, device: torch.device) -> AdaptiveAugment:
        """The same with its strength on `device`."""
        self.p = self.p.to(device)
        return self

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, height, width = images.shape
        if channels != 3 or height != width:
            raise ValueError(f"images must be [N, 3, R, R], got {list(images.shape)}")
        if not self.fixed_shapes and self.p == 0:
            return images
        if self.blit or self.geometry:
            affine, kind = self._geometry(n, width, generator)
            images = sampled(images, affine, kind, fixed_shapes=self.fixed_shapes)
        if self.color:
            matrix = chain(COLOR, n, width, self.p, generator)[0].to(images)
            images = torch.baddbmm(matrix[:, :3, 3:], matrix[:, :3, :3], images.flatten(2)).view_as(images)
        if self.filter:
            images = filtered(images, self.p, generator)
        if self.corruption:
            images = cut_out(add_noise(images, self.p, generator), self.p, generator)
        return images

    def _geometry(self, n: int, resolution: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
        """One affine per image [n, 3, 3], and how to sample it [n]."""
        affine, kind = torch.eye(3, device=g.device).repeat(n, 1, 1), torch.full((n,), SAME, device=g.device)
        for group, draws, way in ((self.blit, BLIT, PIXELS), (self.geometry, GEOMETRY, SMOOTH)):
            if group:
                drawn, touched = chain(draws, n, resolution, self.p, g)
                affine, kind = affine @ drawn, torch.where(touched, torch.full_like(kind, way), kind)
        return affine, kind
