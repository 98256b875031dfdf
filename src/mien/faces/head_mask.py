"""Where the head is: a mask of head and hair for pasting back, from the photo's crop and from its stylised twin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_head_mask_network
from mien.faces.warp import blur
from mien.models.head_mask_network import HeadMaskNetwork

_WORKING_SIZE = 192  # largest side in pixels at which the mask is made to follow the picture
_REACH = 0.04  # of the side: radius of the windows in which mask and colours are related
_TOLERANCE = 2e-3  # of colour variance in [-1, 1]: below it, differences of colour do not count
_WIDER = 0.012  # of the side: how far the mask reaches beyond head and hair, so that no rim of the old ones stays
_NECK = (0.84, 1.0)  # height in the crop at which the mask begins to fade, and has faded: from the chin to the shoulders


def head_mask(crop: Tensor, stylized: Tensor | None = None, network: HeadMaskNetwork | None = None) -> Tensor:
    """Where the head is in a crop of a photo, or in its stylised twin (both [3, s, s] in [-1, 1]): [1, s, s] in [0, 1].

    Both crops are in the FFHQ frame. The mask covers the head, hair and neck of either, so that neither the photo's hair stays
    beside a smaller drawn head, nor is a larger one cut off; it fades below the chin. Without a twin it covers the crop's own.
    `network`: None takes the one with mien.
    """
    both = [crop] if stylized is None else [crop, stylized]
    if crop.ndim != 3 or crop.shape[0] != 3 or any(picture.shape != crop.shape for picture in both):
        raise ValueError(f"crop and stylized must both be [3, s, s], got {' and '.join(str(list(p.shape)) for p in both)}")
    size = crop.shape[-1]
    pictures = torch.stack(both).float().clamp(-1, 1)
    coarse = coarse_head_mask(pictures, network)
    working = min(size, _WORKING_SIZE)
    guides = _resize(pictures, working)
    masks = _resize(coarse, working)
    union = torch.stack([_follow(guide, mask) for guide, mask in zip(guides, masks, strict=True)]).amax(dim=0)
    # Wider by a constant: the blurred mask's foot is raised.
    wider = (blur(union, _WIDER * working) * 2.0 - 0.1).clamp(0, 1)
    below = (torch.arange(working) + 0.5) / working
    fade = ((_NECK[1] - below) / (_NECK[1] - _NECK[0])).clamp(0, 1)
    fade = fade * fade * (3 - 2 * fade)
    return _resize((wider * fade[None, :, None])[None], size)[0].clamp(0, 1)


@torch.no_grad()
def coarse_head_mask(pictures: Tensor, network: HeadMaskNetwork | None = None) -> Tensor:
    """Head, hair and neck in FFHQ crops [N, 3, s, s] in [-1, 1], as the network sees them at its own size: [N, 1, h, h]."""
    network = network or read_head_mask_network()
    return torch.sigmoid(network(_resize(pictures, network.config.size)))


def _resize(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def _follow(guide: Tensor, mask: Tensor) -> Tensor:
    """Make a coarse mask [1, h, w] follow the edges of its picture [3, h, w]: guided filter (He, Sun & Tang 2010)."""
    reach = max(2, round(_REACH * guide.shape[-1]))

    def mean(x: Tensor) -> Tensor:
        padded = F.pad(x[None], (reach, reach, reach, reach), mode="replicate")
        return F.avg_pool2d(padded, 2 * reach + 1, 1)[0]

    height, width = guide.shape[1:]
    mean_guide, mean_mask = mean(guide), mean(mask)
    products = (guide[:, None] * guide[None]).reshape(9, height, width)
    covariance = mean(products).reshape(3, 3, height, width) - mean_guide[:, None] * mean_guide[None]
    with_mask = mean(guide * mask) - mean_guide * mean_mask
    matrix = covariance.permute(2, 3, 0, 1) + _TOLERANCE * torch.eye(3)
    slope = torch.linalg.solve(matrix, with_mask.permute(1, 2, 0)[..., None])[..., 0].permute(2, 0, 1)
    offset = mean_mask - (slope * mean_guide).sum(dim=0, keepdim=True)
    return ((mean(slope) * guide).sum(dim=0, keepdim=True) + mean(offset)).clamp(0, 1)
