"""The photo's own colors for a drawn face: a coarse shift, so that lines and surfaces stay the drawing's."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.faces.warp import blur

_HUE, _LIGHT = 0.03, 0.10  # of the side: detail finer than this stays the drawing's, in hue and in brightness
_BRIGHTNESS = (0.299, 0.587, 0.114)


def towards_photo(drawn: Tensor, photo: Tensor, share: float) -> Tensor:
    """A drawn crop [3, s, s] in [-1, 1] whose colors are `share` of the way, 0 to 1, to those of the photo's crop.

    The two need not show the same outlines: hue is compared over a thirtieth of the side, brightness over a tenth.
    """
    if share == 0:
        return drawn
    difference = photo.clamp(-1, 1) - drawn
    light = (difference * torch.tensor(_BRIGHTNESS)[:, None, None]).sum(dim=0, keepdim=True)
    side = drawn.shape[-1]
    shift = blur(difference - light, _HUE * side) + blur(light, _LIGHT * side)
    return (drawn + share * shift).clamp(-1, 1)
