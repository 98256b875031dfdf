"""A small network that tells whose face it is: mien's own, for identity losses, where it runs at every training step.

It has learned the outputs of a much larger one (distillation, Hinton et al. 2015), also where the face is gray, soft or
as small as a small generator makes it. Plain convolutions at 64 px: about 29 million multiplications per face, all of them of
the kind that processors are quick at.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.landmarks import HalvingBlock

_SLOPE = 0.1


@dataclass(frozen=True)
class IdentityConfig:
    """The shape of an identity network."""

    size: Annotated[int, "side in pixels of the face that the network sees, a multiple of 16"] = 64
    field: Annotated[float, "side of that face, in the middle of the FFHQ frame, in units of the frame"] = 0.75
    widths: Annotated[tuple[int, ...], "channels at 1/2, 1/4, 1/8, 1/16 of the input"] = (32, 48, 96, 224)
    outputs: Annotated[int, "length of the embedding"] = 128


class IdentityNetwork(nn.Module):
    """Face [N, 3, size, size] in [-1, 1] -> embedding [N, outputs] of length 1; compare two by their cosine."""

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__()
        self.config = config
        widths = tuple(config.widths)
        self.stem = nn.Conv2d(3, widths[0], 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(HalvingBlock(*pair) for pair in pairwise(widths))
        side = config.size >> len(widths)
        self.out = nn.Linear(widths[-1] * side * side, config.outputs)

    def maps(self, image: Tensor) -> list[Tensor]:
        """FFHQ crop [N, 3, R, R] in [-1, 1] -> feature maps of the whole frame after every halving; differentiable."""
        side = round(self.config.size / self.config.field / 16) * 16
        x = self._stem(F.interpolate(image, (side, side), mode="bilinear", align_corners=False, antialias=True))
        found = [x]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found

    def _stem(self, face: Tensor) -> Tensor:
        # Neither brightness nor contrast says whose face it is; the tint of skin and hair may.
        mean, spread = face.mean(dim=(1, 2, 3), keepdim=True), face.std(dim=(1, 2, 3), keepdim=True)
        return F.leaky_relu(self.stem((face - mean) / (spread + 0.05)), _SLOPE)

    def forward(self, face: Tensor) -> Tensor:
        x = self._stem(face)
        for block in self.blocks:
            x = block(x)
        return F.normalize(self.out(x.contiguous().flatten(1)).float(), dim=1)

    def embed_crop(self, image: Tensor) -> Tensor:
        """FFHQ crop [N, 3, R, R] in [-1, 1], of any R -> [N, outputs] of length 1; differentiable."""
        side = image.shape[-1]
        margin = round(side * (1 - self.config.field) / 2)
        face = image[:, :, margin : side - margin, margin : side - margin].float()
        size = (self.config.size, self.config.size)
        out: Tensor = self(F.interpolate(face, size, mode="bilinear", align_corners=False, antialias=True))
        return out
