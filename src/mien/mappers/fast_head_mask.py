"""Head masks and softened backgrounds as `mien.faces.head_mask` and `background` make them, at the cost of a video's frame.

The mask follows the edges of a 64 px copy of the image instead of one of 192 px, by its brightness instead of its colors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.faces import background, head_mask
from mien.mappers.resampling import averaging, blurring, resizing
from mien.models.head_mask_network import HeadMaskNetwork

_GUIDED_AT = 64  # side in pixels at which mask and brightness are related
_MASKS_AT = 128  # largest side in pixels of a mask before it is enlarged
_TOLERANCE = 2e-3  # of the variance of brightness in [-1, 1]: below it, differences do not count
_BRIGHTNESS = (0.299, 0.587, 0.114)


class FastHeadMask(nn.Module):
    """Images [N, 3, S, S] in the FFHQ frame -> masks of head, hair and neck [N, 1, m, m] in [0, 1], m = `size`."""

    def __init__(self, network: HeadMaskNetwork, side: int) -> None:
        super().__init__()
        self.network = network
        self.size = min(side, _MASKS_AT)
        self.small = resizing(side, network.config.size, "bilinear")
        self.guide = resizing(side, _GUIDED_AT, "bilinear")
        self.fine_guide = resizing(side, self.size, "bilinear")
        self.coarse = resizing(network.config.size // 2, _GUIDED_AT, "bilinear")
        self.mean = averaging(_GUIDED_AT, round(head_mask.REACH * _GUIDED_AT))
        self.finer = resizing(_GUIDED_AT, self.size, "bilinear")
        self.wider = blurring(self.size, head_mask.WIDER * self.size)

    def forward(self, images: Tensor) -> Tensor:
        mask = self.coarse(torch.sigmoid(self.network(self.small(images))))
        bright = _brightness(images)
        guide = self.guide(bright)
        # The guided filter (see `mien.faces.guided`) of one channel, around the local mean: sound in half precision too.
        mean_guide, mean_mask = self.mean(torch.cat([guide, mask], dim=1)).chunk(2, dim=1)
        guide, mask = guide - mean_guide, mask - mean_mask
        variance, together = self.mean(torch.cat([guide * guide, guide * mask], dim=1)).chunk(2, dim=1)
        slope = together / (variance + _TOLERANCE)
        slope, mean_guide, mean_mask = self.finer(torch.cat([self.mean(slope), mean_guide, mean_mask], dim=1)).chunk(3, dim=1)
        mask = (mean_mask + slope * (self.fine_guide(bright) - mean_guide)).clamp(0, 1)
        return torch.sub(self.wider(mask) * 2.0, 0.1).clamp(0, 1)


class Softening(nn.Module):
    """Images [N, 3, s, s] and where they stay sharp [N, 1, s, s] -> the images with everything else blurred."""

    def __init__(self, size: int) -> None:
        super().__init__()
        small = background.BLURRED_AT
        self.smaller = resizing(size, small, "bilinear")
        self.blur = blurring(small, background.SOFTNESS * small)
        self.larger = resizing(small, size, "bicubic")

    def forward(self, images: Tensor, keep: Tensor) -> Tensor:
        outside = (1 - keep).clamp(min=1e-3)
        both = self.blur(self.smaller(torch.cat([images * outside, outside], dim=1)))
        soft = self.larger(both[:, :3] / both[:, 3:])
        return torch.add(soft, keep * (images - soft)).clamp(-1, 1)


def _brightness(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (_BRIGHTNESS[0] * red + _BRIGHTNESS[1] * green + _BRIGHTNESS[2] * blue)[:, None]
