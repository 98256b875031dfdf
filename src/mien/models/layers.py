"""Layers with equalised learning rate (Karras et al. 2018): weights are N(0, 1) and scaled when they are used."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.ops import bias_act

ACT_GAIN = math.sqrt(2.0)


class EqualLinear(nn.Module):
    """Fully connected layer: [N, in] -> [N, out], optionally followed by a leaky ReLU with gain sqrt(2)."""

    def __init__(
        self, inputs: int, outputs: int, *, bias_init: float = 0.0, lr_multiplier: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.lr_multiplier = lr_multiplier
        self.activate = activate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / lr_multiplier))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * (self.lr_multiplier / math.sqrt(self.weight.shape[1]))
        bias = self.bias * self.lr_multiplier if self.lr_multiplier != 1.0 else self.bias
        if not self.activate:
            return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))
        return bias_act(F.linear(x, weight.to(x.dtype)), bias, gain=ACT_GAIN)


class EqualConv(nn.Module):
    """Convolution with 'same' padding whose weight is scaled by 1/sqrt(fan in); the bias is left to `bias_act`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def scaled_weight(self, gain: float = 1.0) -> Tensor:
        """The weight with its equalised learning rate, times `gain`."""
        return self.weight * (gain / math.sqrt(self.weight[0].numel()))


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Width of the block of the given size: min(channel_max, channel_base / resolution)."""
    return min(channel_max, channel_base // resolution)
