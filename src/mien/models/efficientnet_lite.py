"""EfficientNet-Lite1 (Tan & Le 2019, table 1, without squeeze and excitation and with ReLU6), as a feature network.

Layer names are those of the published PyTorch weights, so that a file of them loads strictly. Convolutions pad as TensorFlow
does ("SAME": the odd pixel goes to the right and below), because that is where the weights were trained.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (kernel, channels, repeats, stride of the first, expansion) of the inverted residuals: Lite0's, with 1.1 times the depth
# rounded up, but in the first and the last stage, which Lite networks do not deepen.
_STAGES = (
    (3, 16, 1, 1, 1), (3, 24, 3, 2, 6), (5, 40, 3, 2, 6), (3, 80, 4, 2, 6),
    (5, 112, 4, 1, 6), (5, 192, 5, 2, 6), (3, 320, 1, 1, 6),
)  # fmt: skip
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow does: output side = ceil(side / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:])
        return super().forward(F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _InvertedResidual(nn.Module):
    """Expand, depthwise, project; with a skip connection where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.skip, self.expands = stride == 1 and inputs == outputs, expansion > 1
        if self.expands:
            self._expand_conv, self._bn0 = SameConv2d(inputs, inner, 1), _norm(inner)
        self._depthwise_conv, self._bn1 = SameConv2d(inner, inner, kernel, stride, groups=inner), _norm(inner)
        self._project_conv, self._bn2 = SameConv2d(inner, outputs, 1), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        out: Tensor = self._bn2(self._project_conv(inner))
        return x + out if self.skip else out


class EfficientNetLite(nn.Module):
    """Images [N, 3, S, S] in [-1, 1] -> pooled features [N, 1280]. Differentiable; float32.

    `input_size` is the S that the weights were trained at; other sizes give an answer, but a poorer one.
    """

    def __init__(self, input_size: int = 240) -> None:
        super().__init__()
        self.input_size = input_size
        self._conv_stem, self._bn0 = SameConv2d(3, _STEM, 3, 2), _norm(_STEM)
        blocks, width = [], _STEM
        for kernel, outputs, repeats, stride, expansion in _STAGES:
            for index in range(repeats):
                blocks.append(_InvertedResidual(width, outputs, kernel, stride if index == 0 else 1, expansion))
                width = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv2d(width, _HEAD, 1), _norm(_HEAD)
        self._fc = nn.Linear(_HEAD, _CLASSES)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The last feature maps before each halving and the head's: [N, C, S/2, S/2], ... [N, 1280, S/32, S/32]."""
        # Trained on (pixel - 127) / 128.
        x = (images.contiguous(memory_format=torch.channels_last) * 127.5 + 0.5) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)))
        found: list[Tensor] = []
        for block in self._blocks:
            before, x = x, block(x)
            if x.shape[2] < before.shape[2]:
                found.append(before)
        return [*found, F.relu6(self._bn1(self._conv_head(x)))]

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images)[-1].mean((2, 3))

    def classify(self, images: Tensor) -> Tensor:
        """Logits [N, 1000] of the ImageNet classes."""
        out: Tensor = self._fc(self(images))
        return out
