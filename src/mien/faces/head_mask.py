"""Where the head is: a mask of head and hair for pasting back, from the photo's crop and its stylized version."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_head_mask_network
from mien.faces.guided import follow
from mien.faces.warp import blur
from mien.models.head_mask_network import HeadMaskNetwork

_WORKING_SIZE = 192  # largest side in pixels at which the mask is made to follow the image
REACH = 0.04  # of the side: radius of the windows in which mask and colors are related
WIDER = 0.012  # of the side: how far the mask reaches beyond head and hair, so that no rim of the old ones stays
_NECK = (0.84, 1.0)  # height in the crop at which the mask begins to fade, and has faded: from the chin to the shoulders
# The face in its frame: center and radii of an ellipse in sides of the crop, and how steep its edge is.
_FACE, _FACE_RADII, _FACE_STEEPNESS = (0.5, 0.61), (0.30, 0.36), 14.0


def head_mask(crop: Tensor, stylized: Tensor | None = None, network: HeadMaskNetwork | None = None) -> Tensor:
    """Where the head is in a crop of a photo, or in its stylized version (both [3, s, s] in [-1, 1]): [1, s, s] in [0, 1].

    Both crops are in the FFHQ frame. The mask covers the head, hair and neck of the twin; see `covering_mask`. Without a twin
    it covers the crop's own head and hair; it fades below the chin. `network`: None takes mien's own.
    """
    if stylized is None:
        return fading(own_head(crop, network))
    return covering_mask(*head_masks(crop, stylized, network))


def own_head(image: Tensor, network: HeadMaskNetwork | None = None) -> Tensor:
    """Head, hair and neck in one FFHQ crop [3, s, s] in [-1, 1]: [1, s, s] in [0, 1], which does not fade below the chin."""
    return _heads([image], network)[0]


def head_masks(crop: Tensor, stylized: Tensor, network: HeadMaskNetwork | None = None) -> tuple[Tensor, Tensor]:
    """Head, hair and neck in a crop and in its stylized twin, each its own mask [1, s, s]; see `head_mask`."""
    own, drawn = _heads([crop, stylized], network)
    return own, drawn


def covering_mask(own: Tensor, drawn: Tensor, *, hair: float = 1.0) -> Tensor:
    """Where a drawn head is to cover a photo, from the masks [..., 1, s, s] of both heads.

    The photo's face is covered even where nothing is drawn over it, so that no second cheek or jaw shows beside the drawn one;
    the photo's hair stays there. `hair` is how much of the photo's hair is covered where both heads are.
    """
    face = face_ellipse(own.shape[-1])
    covered = torch.maximum(drawn, own * face)
    return fading(covered * (1 - (1 - hair) * own * (1 - face)))


def face_ellipse(size: int) -> Tensor:
    """Where the face itself is in the FFHQ frame, brows to chin: [size, size], 1 inside, 0 outside, soft between."""
    place = (torch.arange(size) + 0.5) / size
    x, y = (place - _FACE[0]) / _FACE_RADII[0], (place - _FACE[1]) / _FACE_RADII[1]
    return torch.sigmoid((1 - (x.square()[None] + y.square()[:, None]).sqrt()) * _FACE_STEEPNESS)


def _heads(images: list[Tensor], network: HeadMaskNetwork | None) -> Tensor:
    first = images[0]
    if first.ndim != 3 or first.shape[0] != 3 or any(image.shape != first.shape for image in images):
        shapes = " and ".join(str(list(image.shape)) for image in images)
        raise ValueError(f"crop and stylized must both be [3, s, s], got {shapes}")
    size = first.shape[-1]
    batch = torch.stack(images).float().clamp(-1, 1)
    coarse = coarse_head_mask(batch, network)
    working = min(size, _WORKING_SIZE)
    reach = max(2, round(REACH * working))
    pairs = zip(_resize(batch, working), _resize(coarse, working), strict=True)
    masks = torch.cat([follow(guide, mask, reach).clamp(0, 1) for guide, mask in pairs])
    # Wider by a constant: the blurred mask's foot is raised.
    wider = (blur(masks, WIDER * working) * 2.0 - 0.1).clamp(0, 1)
    return _resize(wider[:, None], size).clamp(0, 1)


def fading(mask: Tensor) -> Tensor:
    """A mask [..., s, s] of the FFHQ frame that ends between chin and shoulders."""
    below = (torch.arange(mask.shape[-2]) + 0.5) / mask.shape[-2]
    fade = ((_NECK[1] - below) / (_NECK[1] - _NECK[0])).clamp(0, 1)
    return mask * (fade * fade * (3 - 2 * fade))[:, None]


@torch.no_grad()
def coarse_head_mask(images: Tensor, network: HeadMaskNetwork | None = None) -> Tensor:
    """Head, hair and neck in FFHQ crops [N, 3, s, s] in [-1, 1], as the network sees them at its own size: [N, 1, h, h]."""
    network = network or read_head_mask_network()
    return torch.sigmoid(network(_resize(images, network.config.size)))


def _resize(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
