"""Four times as many pixels a side, with lines as a draughtsman would make them: the compact network of Real-ESRGAN."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CompactUpscalerConfig:
    """The shape of a compact upscaler."""

    factor: Annotated[int, "how many times as many pixels a side the result has"] = 4
    width: Annotated[int, "channels of every hidden layer"] = 64
    depth: Annotated[int, "hidden layers after the first one"] = 16


class CompactUpscaler(nn.Module):
    """Images [N, 3, H, W] in [0, 1] -> [N, 3, factor * H, factor * W], about in [0, 1].

    SRVGGNetCompact of Wang et al. 2021 (Real-ESRGAN), as its animation models have it: 3 x 3 convolutions with PReLU at the
    size of the input, a pixel shuffle (Shi et al. 2016), and the input's nearest-neighbour enlargement added.
    """

    def __init__(self, config: CompactUpscalerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CompactUpscalerConfig()
        channels = [3] + [config.width] * (config.depth + 1)
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.PReLU(outputs)) for inputs, outputs in pairwise(channels)
        )
        self.out = nn.Conv2d(config.width, 3 * config.factor**2, 3, padding=1)

    def forward(self, image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """`dtype` is that of the hidden layers; the result is float32."""
        x = image.to(dtype, memory_format=torch.channels_last)
        for layer in self.hidden:
            conv, act = layer.children()
            x = F.prelu(_convolved(conv, x), act.get_parameter("weight").to(dtype))
        detail = F.pixel_shuffle(_convolved(self.out, x).float(), self.config.factor)
        return detail + F.interpolate(image, scale_factor=self.config.factor, mode="nearest")


def _convolved(conv: nn.Module, x: Tensor) -> Tensor:
    weight, bias = conv.get_parameter("weight"), conv.get_parameter("bias")
    return F.conv2d(x, weight.to(x.dtype, memory_format=torch.channels_last), bias.to(x.dtype), padding=1)
