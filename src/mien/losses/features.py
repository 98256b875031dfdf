"""The JoJoGAN loss: mean L1 distance between discriminator activations of two images (Chong & Forsyth 2022, equation 2).

`Discriminator.features` is the definition; `FrozenFeatures` is its fast path for a discriminator that no longer changes:
cut off below the last block used, learning-rate scales and gains folded into the weights once, no weight gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.models.discriminator import Discriminator, DiscriminatorBlock
from mien.models.layers import ACT_GAIN
from mien.ops import downsample2, fir
from mien.ops.bias_act import SLOPE


def loss_resolutions(resolution: int) -> tuple[int, ...]:
    """Sizes of the feature maps that are compared: R/2, R/8, R/16, R/32, none below 4 px (512, 128, 64, 32 at 1024 px)."""
    return tuple(r for r in (resolution // 2, resolution // 8, resolution // 16, resolution // 32) if r >= 4)


def feature_distance(
    features: Sequence[Tensor], targets: Sequence[Tensor], weights: Tensor | None = None, valid: Tensor | None = None
) -> Tensor:
    """Mean over layers of the L1 distance between feature maps [N, C, H, W]; sums in float32.

    `weights` [N], with mean 1, weighs the images of the batch against each other. `valid` [N, 1, R, R] in [0, 1] is the part
    of each image that counts: the mean is taken over it alone.
    """
    return per_layer_distance(features, targets, weights, valid).mean()


def per_layer_distance(
    features: Sequence[Tensor], targets: Sequence[Tensor], weights: Tensor | None = None, valid: Tensor | None = None
) -> Tensor:
    """The L1 distance of every layer, [layers]."""
    distances = []
    for f, t in zip(features, targets, strict=True):
        gap = (f - t).abs()
        if weights is not None:
            gap = gap * weights.to(gap.dtype).reshape(-1, 1, 1, 1)
        if valid is not None:
            area = F.adaptive_avg_pool2d(valid, (gap.shape[2], gap.shape[3]))
            gap = gap * (area / area.mean(dim=(2, 3), keepdim=True)).to(gap.dtype)
        distances.append(gap.sum(dtype=torch.float32) / gap.numel())
    return torch.stack(distances)


class _FrozenBlock:
    def __init__(self, block: DiscriminatorBlock, dtype: torch.dtype) -> None:
        gain = ACT_GAIN * 0.5**0.5
        self.clamp = block.clamp
        self.conv0, self.bias0 = _baked(block.conv0.scaled_weight(ACT_GAIN), block.conv0.bias, ACT_GAIN, dtype)
        self.conv1, self.bias1 = _baked(block.conv1.scaled_weight(gain), block.conv1.bias, gain, dtype)
        self.skip, _ = _baked(block.skip.scaled_weight(0.5**0.5), None, 1.0, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        skip = F.conv2d(downsample2(x), self.skip)
        x = F.leaky_relu_(F.conv2d(x, self.conv0, self.bias0, padding=1), SLOPE)
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        x = F.leaky_relu_(F.conv2d(fir(x, 2), self.conv1, self.bias1, stride=2), SLOPE)
        if self.clamp is not None:
            limit = self.clamp * 0.5**0.5
            x = x.clamp(-limit, limit)
        return skip.add_(x)


def _baked(weight: Tensor, bias: Tensor | None, gain: float, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    weight = weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
    return weight, None if bias is None else (bias.detach() * gain).to(dtype)


class FrozenFeatures:
    """Feature maps of a frozen discriminator: image [N, 3, R, R] -> one map per requested size, largest first."""

    def __init__(self, discriminator: Discriminator, resolutions: Sequence[int], dtype: torch.dtype = torch.float32) -> None:
        self.resolutions, self.dtype = tuple(sorted(resolutions, reverse=True)), dtype
        first = discriminator.fromrgb
        self.clamp = first.clamp
        self.fromrgb, self.bias = _baked(first.conv.scaled_weight(ACT_GAIN), first.conv.bias, ACT_GAIN, dtype)
        self.size = discriminator.config.resolution
        used = [r for r in discriminator.resolutions if r > self.resolutions[-1]]
        self.blocks = [_FrozenBlock(discriminator.block(r), dtype) for r in used]

    def __call__(self, img: Tensor) -> list[Tensor]:
        x = F.leaky_relu_(F.conv2d(img.to(self.dtype, memory_format=torch.channels_last), self.fromrgb, self.bias), SLOPE)
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        found = [x] if self.size in self.resolutions else []
        for k, block in enumerate(self.blocks):
            x = block(x)
            if self.size >> (k + 1) in self.resolutions:
                found.append(x)
        return found


def gray(images: Tensor) -> Tensor:
    """The luma (Rec. 601) of images [N, 3, H, W], repeated in all three channels."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device, dtype=images.dtype)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)


def multiscale_l1(a: Tensor, b: Tensor, *, scales: int) -> Tensor:
    """Mean L1 distance of images [N, 3, H, W] at their own size and, halved each time, at `scales` - 1 smaller ones."""
    total = F.l1_loss(a, b)
    for _ in range(scales - 1):
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total = total + F.l1_loss(a, b)
    return total / scales
