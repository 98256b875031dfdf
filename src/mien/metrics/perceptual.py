"""Images -> numbers: identity embeddings, the perceptual distance and the style distance, each defined once.

All images of one comparison, real and generated, go through the same resizing (bicubic, anti-aliased where they shrink).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.losses.extractors import FeatureExtractor
from mien.media.eight_bit import from_uint8
from mien.models.mobilefacenet import MobileFaceNet, crop_faces
from mien.ops.batches import in_batches

FRAME_LANDMARKS = torch.tensor([[0.3755, 0.4693], [0.6245, 0.4693], [0.5, 0.6160], [0.3852, 0.7306], [0.6148, 0.7306]])
"""[5, 2]: eyes, nose and mouth corners of the mean face in the FFHQ frame, in units of its side.

Medians of an outside landmark network's points in 498 photos of the training set, made symmetric. On 100 of them each photo's
own points are no better: the mean cosine of different people is 0.022 with its own points, 0.022 with these.
"""


def as_images(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] as float32 in [-1, 1]; floating-point images stay as they are."""
    return from_uint8(pixels) if pixels.dtype == torch.uint8 else pixels


def _at(network: nn.Module, pixels: Tensor) -> Tensor:
    """The images where the network is."""
    return as_images(pixels.to(next(network.parameters()).device))


def identity_features(network: MobileFaceNet, images: Tensor, landmarks: Tensor | None = None) -> Tensor:
    """Identity embeddings [N, 128] of images [N, 3, H, W] (uint8, or floating point in [-1, 1]); compare them by cosine.

    `landmarks` [5, 2] or [N, 5, 2] in units of width and height (eyes, nose, mouth corners); None: the FFHQ frame's mean face.
    """
    return network(crop_faces(_at(network, images), FRAME_LANDMARKS if landmarks is None else landmarks))  # type: ignore[no-any-return]


def perceptual_distance(extractor: FeatureExtractor, a: Tensor, b: Tensor) -> Tensor:
    """How differently a network sees `a` [N, 3, H, W] and `b` [N, 3, h, w]: [N], 0 for equal images; differentiable.

    Feature maps scaled to unit length at every place; mean squared distance over places, mean over maps (Zhang et al. 2018,
    "The Unreasonable Effectiveness of Deep Features", equation 1 without learned weights).
    """
    distances = []
    for of_a, of_b in zip(*(extractor.resized_maps(as_images(images)) for images in (a, b)), strict=True):
        difference = F.normalize(of_a.float(), dim=1) - F.normalize(of_b.float(), dim=1)
        distances.append(difference.square().sum(1).mean((1, 2)))
    return torch.stack(distances).mean(0)


def style_distance(extractor: FeatureExtractor, images: Tensor, references: Tensor, batch: int = 8) -> Tensor:
    """How far in style each of `images` [N, 3, S, S] is from the mean of `references` [M, 3, T, T]: [N], 0 to 1.

    |A - B| / sqrt(|A|^2 + |B|^2) of the Gram matrices of each feature map (Gatys et al. 2016: what occurs together, not where),
    mean over the maps. Every place is scaled to unit length first, so that no strong channel counts alone. 0: the same
    statistics; 1: nothing in common.
    """
    with torch.no_grad():
        wanted = [gram.mean(0) for gram in _grams(extractor.resized_maps(references))]

    def distances(some: Tensor) -> Tensor:
        found = []
        for gram, other in zip(_grams(extractor.resized_maps(some)), wanted, strict=True):
            both = gram.square().sum((1, 2)) + other.square().sum()
            found.append(((gram - other).square().sum((1, 2)) / both.clamp(min=1e-12)).sqrt())
        return torch.stack(found).mean(0).cpu()

    return in_batches(distances, images, batch)


def _grams(maps: Sequence[Tensor]) -> list[Tensor]:
    unit = [F.normalize(m.float().flatten(2), dim=1) for m in maps]
    return [m @ m.transpose(1, 2) / m.shape[2] for m in unit]
