"""Pictures -> numbers, with measuring networks that the user brings as files.

All pictures of one comparison, real and generated, go through the same resizing (bicubic, anti-aliased where they shrink).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.media.eight_bit import from_uint8
from mien.models.mobilefacenet import MobileFaceNet, crop_faces
from mien.models.mobilenet_v2 import MobileNetV2

Batched = Callable[[Tensor], Tensor]


FRAME_LANDMARKS = torch.tensor([[0.3755, 0.4693], [0.6245, 0.4693], [0.5, 0.6160], [0.3852, 0.7306], [0.6148, 0.7306]])
"""[5, 2]: eyes, nose and mouth corners of the mean face in the FFHQ frame, in units of its side.

Medians of an outside landmark network's points in 498 photos of the training set, made symmetric. On 100 of them each photo's
own points tell people apart no better: the mean cosine of different people is 0.022 with its own points, 0.022 with these.
"""


def as_pictures(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] as float32 in [-1, 1]; floating-point pictures stay as they are."""
    return from_uint8(pixels) if pixels.dtype == torch.uint8 else pixels


def _at(network: nn.Module, pixels: Tensor) -> Tensor:
    """The pictures where the network is."""
    return as_pictures(pixels.to(next(network.parameters()).device))


def in_batches(function: Batched, pictures: Tensor, batch: int = 16, tick: Callable[[int], None] | None = None) -> Tensor:
    """`function` over `pictures` [N, ...] in batches, without gradients, as one tensor; `tick` gets each batch's length."""
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    found = []
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            found.append(function(pictures[start : start + batch]))
            if tick is not None:
                tick(len(found[-1]))
    return torch.cat(found)


def identity_features(network: MobileFaceNet, pictures: Tensor, landmarks: Tensor | None = None) -> Tensor:
    """Identity embeddings [N, 128] of pictures [N, 3, H, W] (uint8, or floating point in [-1, 1]); compare them by cosine.

    `landmarks` [5, 2] or [N, 5, 2] in units of width and height (eyes, nose, mouth corners); None: the FFHQ frame's mean face.
    """
    return network(crop_faces(_at(network, pictures), FRAME_LANDMARKS if landmarks is None else landmarks))  # type: ignore[no-any-return]


def _resized(network: MobileNetV2, pixels: Tensor) -> Tensor:
    pictures, size = _at(network, pixels), network.input_size
    if list(pictures.shape[2:]) == [size, size]:
        return pictures
    return F.interpolate(pictures, (size, size), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)


def pooled_features(network: MobileNetV2, pictures: Tensor) -> Tensor:
    """Pooled features [N, 1280] of pictures [N, 3, H, W] (uint8, or floating point in [-1, 1]), for distances between sets."""
    return network(_resized(network, pictures))  # type: ignore[no-any-return]


def perceptual_distance(network: MobileNetV2, a: Tensor, b: Tensor) -> Tensor:
    """How differently the network sees `a` [N, 3, H, W] and `b` [N, 3, h, w]: [N], 0 for equal pictures; differentiable.

    Feature maps at five resolutions, scaled to unit length at every place; mean squared distance over places, mean over maps
    (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features", equation 1 without learned weights).
    """
    distances = []
    maps_a, maps_b = (network.maps(_resized(network, pictures)) for pictures in (a, b))
    for of_a, of_b in zip(maps_a, maps_b, strict=True):
        difference = F.normalize(of_a, dim=1) - F.normalize(of_b, dim=1)
        distances.append(difference.square().sum(1).mean((1, 2)))
    return torch.stack(distances).mean(0)
