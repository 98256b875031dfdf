"""A small network that finds five points of a face (eye centers, nose tip, mouth corners) and its FFHQ crop; also in drawings.

It looks at a gray crop around the face and outputs points in units of that crop. Looking twice, the second time at a crop that
is centered, scaled and turned by the first output, makes it precise (cascaded regression, Dollar et al. 2010). The FFHQ crop
follows from the points by a formula, but where a drawing's eyes are larger or wider apart than anybody's, what the face as a
whole says is worth as much: so the network also outputs two points of the crop itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.1


@dataclass(frozen=True)
class LandmarkConfig:
    """The shape of a landmark network."""

    size: Annotated[int, "side of the input in pixels, a multiple of 16"] = 64
    width: Annotated[int, "channels after the first convolution; doubled at each halving up to max_width"] = 24
    max_width: Annotated[int, "maximum channels of any block"] = 96
    field: Annotated[float, "side of the input in units of the FFHQ frame of the face it was trained to see"] = 0.9


class HalvingBlock(nn.Module):
    """Residual block that halves the size: [N, inputs, H, W] -> [N, outputs, H/2, W/2]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(F.avg_pool2d(x, 2))
        x = F.leaky_relu(self.norm0(self.conv0(x)), _SLOPE)
        return F.leaky_relu(self.norm1(self.conv1(x)) + skip, _SLOPE)


class LandmarkNetwork(nn.Module):
    """Crop [N, 3, size, size] in [-1, 1] -> points [N, 7, 2] in units of the crop's side (0, 0 its top left corner).

    The order is: eye at the image's left, eye at the right, nose tip, mouth corner left, right; center of the FFHQ crop, middle
    of its right edge.
    """

    def __init__(self, config: LandmarkConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(1, config.width, 5, stride=2, padding=2)
        blocks, width, size = [], config.width, config.size // 2
        while size > 4:
            wider = min(config.max_width, width * 2)
            blocks.append(HalvingBlock(width, wider))
            width, size = wider, size // 2
        self.blocks = nn.ModuleList(blocks)
        self.fc = nn.Linear(width * size * size, 128)
        self.out = nn.Linear(128, 14)

    def forward(self, crop: Tensor) -> Tensor:
        return self.read_out(self.features(crop.mean(dim=1, keepdim=True)))

    def features(self, gray: Tensor) -> Tensor:
        """Crop [N, 1, size, size] -> features [N, max_width, 4, 4]."""
        # Neither brightness nor contrast says where a face's points are.
        gray = (gray - gray.mean(dim=(2, 3), keepdim=True)) / (gray.std(dim=(2, 3), keepdim=True) + 0.05)
        x = F.leaky_relu(self.stem(gray), _SLOPE)
        for block in self.blocks:
            x = block(x)
        return x

    def read_out(self, features: Tensor) -> Tensor:
        """Features -> points [N, 7, 2]."""
        x = F.leaky_relu(self.fc(features.contiguous().flatten(1)), _SLOPE)
        points: Tensor = self.out(x)
        return points.reshape(-1, 7, 2) + 0.5
