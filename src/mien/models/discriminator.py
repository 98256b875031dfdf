"""The StyleGAN2 discriminator: residual blocks, minibatch standard deviation, features by resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.latents import resolutions
from mien.models.layers import ACT_GAIN, EqualConv, EqualLinear, channels_at
from mien.ops import bias_act, downsample2, fir

_SKIP_GAIN = math.sqrt(0.5)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The shape of a discriminator."""

    resolution: Annotated[int, "side of the image in pixels, a power of two from 8"]
    channel_base: Annotated[int, "a block of R pixels has min(channel_max, channel_base / R) channels"] = 32768
    channel_max: Annotated[int, "maximum channels of any block"] = 512
    conv_clamp: Annotated[float | None, "activations are clamped to +-this; None: never"] = None
    mbstd_group: Annotated[int, "images over which the minibatch standard deviation is taken"] = 4

    def channels(self, resolution: int) -> int:
        """Width of the block of the given size."""
        return channels_at(resolution, self.channel_base, self.channel_max)


class DiscriminatorBlock(nn.Module):
    """Residual block [N, C, R, R] -> [N, C', R/2, R/2]."""

    def __init__(self, config: DiscriminatorConfig, resolution: int) -> None:
        super().__init__()
        inputs, outputs = config.channels(resolution), config.channels(resolution // 2)
        self.clamp = config.conv_clamp
        self.conv0 = EqualConv(inputs, inputs, 3)
        self.conv1 = EqualConv(inputs, outputs, 3)
        self.skip = EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.conv2d(downsample2(x), self.skip.scaled_weight(_SKIP_GAIN).to(x.dtype))
        clamp_out = None if self.clamp is None else self.clamp * _SKIP_GAIN
        x = F.conv2d(x, self.conv0.scaled_weight(ACT_GAIN).to(x.dtype), padding=1)
        x = bias_act(x, _scaled(self.conv0.bias, ACT_GAIN), clamp=self.clamp)
        gain = ACT_GAIN * _SKIP_GAIN  # = 1: the residual sum keeps the variance
        x = F.conv2d(fir(x, 2), self.conv1.scaled_weight(gain).to(x.dtype), stride=2)
        x = bias_act(x, _scaled(self.conv1.bias, gain), clamp=clamp_out)
        return skip.add_(x)  # not x.add_: leaky ReLU needs its own output


def _scaled(bias: Tensor | None, gain: float) -> Tensor:
    assert bias is not None
    return bias * gain


class FromRGB(nn.Module):
    """1 x 1 convolution of the image into the first feature map."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.clamp = config.conv_clamp
        self.conv = EqualConv(3, config.channels(config.resolution), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.conv.scaled_weight(ACT_GAIN).to(x.dtype))
        return bias_act(x, _scaled(self.conv.bias, ACT_GAIN), clamp=self.clamp)


class DiscriminatorEpilogue(nn.Module):
    """4 px features [N, C, 4, 4] -> one logit per image [N, 1]."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        channels = config.channels(4)
        self.group, self.clamp = config.mbstd_group, config.conv_clamp
        self.conv = EqualConv(channels + 1, channels, 3)
        self.fc = EqualLinear(channels * 16, channels, activate=True)
        self.out = EqualLinear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, minibatch_std(x, self.group)], dim=1)
        x = F.conv2d(x, self.conv.scaled_weight(ACT_GAIN).to(x.dtype), padding=1)
        x = bias_act(x, _scaled(self.conv.bias, ACT_GAIN), clamp=self.clamp)
        out: Tensor = self.out(self.fc(x.contiguous().flatten(1)))
        return out


def minibatch_std(x: Tensor, group: int) -> Tensor:
    """Mean standard deviation over groups of samples as one map [N, 1, H, W] (Karras et al. 2018, section 3)."""
    n, _, h, w = x.shape
    group = min(group, n)
    if n % group:
        raise ValueError(f"batch of {n} images does not split into minibatch-std groups of {group}")
    grouped = x.float().reshape(group, n // group, -1)
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=1)  # [N / group]
    return deviation.repeat(group).reshape(n, 1, 1, 1).expand(n, 1, h, w).to(x.dtype)


class Discriminator(nn.Module):
    """Image [N, 3, R, R] in [-1, 1] -> realness logit [N, 1]."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.fromrgb = FromRGB(config)
        self.resolutions = resolutions(config.resolution)[:0:-1]  # R, R/2, ..., 8
        for r in self.resolutions:
            self.add_module(f"b{r}", DiscriminatorBlock(config, r))
        self.b4 = DiscriminatorEpilogue(config)

    def block(self, resolution: int) -> DiscriminatorBlock:
        """The residual block whose *input* has the given size."""
        return self.get_submodule(f"b{resolution}")  # type: ignore[return-value]

    def forward(self, img: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        x = self._first(img, dtype)
        for r in self.resolutions:
            x = self.block(r)(x)
        out: Tensor = self.b4(x.float())
        return out

    def features(self, img: Tensor, resolutions: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[int, Tensor]:
        """Feature maps {resolution: [N, C, r, r]} by their own size; R is fromRGB, 4 the last residual block's output.

        Nothing below the smallest requested size is computed.
        """
        x, size, found = self._first(img, dtype), self.config.resolution, {}
        while True:
            if size in resolutions:
                found[size] = x
            if size <= min(resolutions):
                return found
            x, size = self.block(size)(x), size // 2

    def _first(self, img: Tensor, dtype: torch.dtype) -> Tensor:
        r = self.config.resolution
        if list(img.shape[1:]) != [3, r, r]:
            raise ValueError(f"images must be [N, 3, {r}, {r}], got {list(img.shape)}")
        out: Tensor = self.fromrgb(img.to(dtype, memory_format=torch.channels_last))
        return out
