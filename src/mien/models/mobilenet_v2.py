"""MobileNetV2 (Sandler et al. 2018), batch norms folded into biases, for measuring: its features see what pictures show.

The weights come from a file of the user's (`checkpoint.measuring.read_mobilenet_v2`). Strided convolutions pad as TensorFlow
does ("SAME": the odd pixel goes to the right and below), because that is where the public weights were trained.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (expansion, channels, repeats, stride of the first) of the inverted residuals, table 2 of the paper at width 1.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _HEAD = 32, 1280

INPUT_SIZE = 224
"""Side in pixels of the pictures that the public weights were trained on."""


class _Conv(nn.Module):
    """Convolution, bias and, unless it is a projection, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, depthwise: bool = False, activate: bool = True
    ):
        super().__init__()
        self.stride, self.activate, self.groups = stride, activate, inputs if depthwise else 1
        self.weight = nn.Parameter(torch.zeros(outputs, inputs // self.groups, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        padding = kernel // 2 if self.stride == 1 else 0
        if self.stride > 1:
            height, width = (max(0, (-(-side // self.stride) - 1) * self.stride + kernel - side) for side in x.shape[2:])
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        x = F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return F.relu6(x, inplace=True) if self.activate else x


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        self.expand = _Conv(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = _Conv(inner, inner, 3, stride, depthwise=True)
        self.project = _Conv(inner, outputs, 1, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.depthwise(inner))
        return x + out if self.skip else out


class MobileNetV2(nn.Module):
    """Pictures [N, 3, S, S] in [-1, 1] -> pooled features [N, 1280]. Differentiable; float32.

    `input_size` is the S that the weights were trained at; other sizes give an answer, but a poorer one.
    """

    def __init__(self, input_size: int = INPUT_SIZE) -> None:
        super().__init__()
        self.input_size = input_size
        self.stem = _Conv(3, _STEM, 3, 2)
        blocks, width = [], _STEM
        for expansion, outputs, repeats, stride in _STAGES:
            for index in range(repeats):
                blocks.append(_InvertedResidual(width, outputs, expansion, stride if index == 0 else 1))
                width = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = _Conv(width, _HEAD, 1)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """The last feature maps before each halving and the head's: [N, C, S/2, S/2], ... [N, 1280, S/32, S/32]."""
        x = self.stem(pictures.contiguous(memory_format=torch.channels_last))
        found: list[Tensor] = []
        for block in self.blocks:
            before, x = x, block(x)
            if x.shape[2] < before.shape[2]:
                found.append(before)
        return [*found, self.head(x)]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.maps(pictures)[-1].mean((2, 3))


def convolutions(network: MobileNetV2) -> list[tuple[str, nn.Module]]:
    """The names and modules of all convolutions in the order in which they act: 52 of them."""
    return [(name, module) for name, module in network.named_modules() if isinstance(module, _Conv)]
