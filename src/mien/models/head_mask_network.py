"""A small network that tells the person from what is behind: a coarse mask of an aligned face crop, photo or drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.1


@dataclass(frozen=True)
class HeadMaskConfig:
    """The shape of a head mask network."""

    size: Annotated[int, "side of the input in pixels, a multiple of 32; the mask has half of it"] = 64
    widths: Annotated[tuple[int, ...], "channels at 1/2, 1/4, 1/8, 1/16 of the input"] = (16, 32, 48, 64)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(_SLOPE),
    )


class HeadMaskNetwork(nn.Module):
    """Crop in the FFHQ frame [N, 3, size, size] in [-1, 1] -> logits of the mask [N, 1, size/2, size/2].

    A U-Net (Ronneberger et al. 2015) whose skips are added. It is told where each pixel lies: heads are in the middle.
    """

    def __init__(self, config: HeadMaskConfig) -> None:
        super().__init__()
        self.config = config
        widths = tuple(config.widths)
        self.down = nn.ModuleList()
        inputs = 5
        for width in widths:
            self.down.append(nn.Sequential(_block(inputs, width, 2), _block(width, width, 1)))
            inputs = width
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.join = nn.ModuleList(nn.Conv2d(deep, shallow, 1) for deep, shallow in pairs)
        self.up = nn.ModuleList(_block(shallow, shallow, 1) for _, shallow in pairs)
        self.out = nn.Conv2d(widths[0], 1, 1)

    def forward(self, crop: Tensor) -> Tensor:
        line = torch.linspace(-1, 1, crop.shape[3], device=crop.device, dtype=crop.dtype)
        y, x = torch.meshgrid(line, line, indexing="ij")
        place = torch.stack([x, y]).expand(crop.shape[0], 2, *crop.shape[2:])
        hidden = torch.cat([crop, place], dim=1)
        seen = []
        for block in self.down:
            hidden = block(hidden)
            seen.append(hidden)
        for join, block, skip in zip(self.join, self.up, seen[-2::-1], strict=True):
            hidden = block(skip + F.interpolate(join(hidden), scale_factor=2.0, mode="nearest"))
        logits: Tensor = self.out(hidden)
        return logits
