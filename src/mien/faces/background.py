"""Blurred backgrounds: what a small face model need not learn to draw."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.head_mask import fading, head_mask
from mien.faces.warp import blur
from mien.models.head_mask_network import HeadMaskNetwork
from mien.models.model import Model

SOFTNESS = 0.09  # of the side: radius of the blur, about as a portrait lens leaves a wall far behind
BLURRED_AT = 64  # side in pixels at which the blur is made


def soften_ground(crop: Tensor, network: HeadMaskNetwork | None = None, *, mask: Tensor | None = None) -> Tensor:
    """A crop [3, s, s] in [-1, 1] in the FFHQ frame with everything but head, hair and shoulders blurred.

    The blur takes nothing from the head, so no rim of hair color surrounds it. `mask` [1, s, s] in [0, 1]: where the image
    stays sharp, if it is known.
    """
    size = crop.shape[-1]
    keep = head_mask(crop, network=network) if mask is None else mask
    outside = (1 - keep).clamp_min(1e-3)
    # Blurred at a small size: nothing finer would survive.
    both = F.interpolate(torch.cat([crop * outside, outside])[None], size=(BLURRED_AT, BLURRED_AT), mode="area")[0]
    both = blur(both, SOFTNESS * BLURRED_AT)
    soft = F.interpolate((both[:3] / both[3:])[None], size=(size, size), mode="bicubic", align_corners=False)[0]
    return torch.lerp(soft, crop, keep).clamp(-1, 1)


@torch.no_grad()
def as_learned(model: Model, crops: Tensor, heads: Tensor | None = None) -> Tensor:
    """Crops [N, 3, s, s] as the model's training images were: with a blurred background, if theirs were; else unchanged.

    `heads` [N, 1, s, s] are the masks of their heads (`own_head`), if they are known already.
    """
    if not model.blurred_background:
        return crops
    masks = [None] * len(crops) if heads is None else [fading(head) for head in heads.cpu()]
    softened = [soften_ground(crop, mask=mask) for crop, mask in zip(crops.cpu(), masks, strict=True)]
    return torch.stack(softened).to(crops.device)
