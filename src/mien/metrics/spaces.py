"""What pictures are compared by in an evaluation: a space of looks, and a network that tells people apart.

A space of looks is any function from pictures to feature maps. How near two pictures are in style is told by the Gram matrices
of the maps (Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks"): what occurs together, not where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.losses.features import FrozenFeatures, grey
from mien.metrics.perceptual import identity_features, in_batches
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.mobilefacenet import MobileFaceNet
from mien.models.mobilenet_v2 import MobileNetV2
from mien.ops.resample import resize

_FINEST = 4  # feature maps of a discriminator that are compared: all of it that is line, texture and feature of a face
_BATCH = 8


def mean_directions(maps: Sequence[Tensor]) -> Tensor:
    """Mean over places of the maps [N, C, h, w], every place scaled to length sqrt(C): [N, sum of C]."""
    return torch.cat([F.normalize(m.float(), dim=1).mean((2, 3)) * m.shape[1] ** 0.5 for m in maps], dim=1)


@dataclass(frozen=True)
class FeatureSpace:
    """A space in which looks are compared."""

    name: str
    """Part of every figure's name: distances of two spaces do not compare."""
    size: int
    """Side of the pictures that `maps` takes."""
    maps: Callable[[Tensor], Sequence[Tensor]]
    """Pictures [N, 3, size, size] in [-1, 1] -> feature maps [N, C, h, w], any number of them."""
    pooled: Callable[[Sequence[Tensor]], Tensor] = mean_directions
    """These maps -> one vector for each picture [N, D], for distances between sets."""
    weights: str = ""
    """Hash of the file that they come from: figures by other weights do not compare either."""

    def vectors(self, pictures: Tensor) -> Tensor:
        """One vector [N, D] for each of the pictures [N, 3, S, S] in [-1, 1], on the CPU."""
        return in_batches(lambda some: self.pooled(self.maps(resize(some, self.size))).float().cpu(), pictures, _BATCH)

    def style_distance(self, pictures: Tensor, references: Tensor) -> Tensor:
        """How far in style each of `pictures` [N, 3, S, S] is from the mean of `references` [M, 3, T, T]: [N], 0 to 1.

        |A - B| / sqrt(|A|^2 + |B|^2) of the Gram matrices of each map, mean over the maps. Every place is scaled to unit length
        first, so that no strong channel counts alone. 0: the same statistics; 1: nothing in common.
        """
        with torch.no_grad():
            wanted = [gram.mean(0) for gram in _grams(self.maps(resize(references, self.size)))]

        def distances(some: Tensor) -> Tensor:
            found = []
            for gram, other in zip(_grams(self.maps(resize(some, self.size))), wanted, strict=True):
                both = gram.square().sum((1, 2)) + other.square().sum()
                found.append(((gram - other).square().sum((1, 2)) / both.clamp(min=1e-12)).sqrt())
            return torch.stack(found).mean(0).cpu()

        return in_batches(distances, pictures, _BATCH)


def _grams(maps: Sequence[Tensor]) -> list[Tensor]:
    unit = [F.normalize(m.float().flatten(2), dim=1) for m in maps]
    return [m @ m.transpose(1, 2) / m.shape[2] for m in unit]


def discriminator_space(discriminator: Discriminator, weights: str = "") -> FeatureSpace:
    """The finest four feature maps of a discriminator, on its device."""
    size = discriminator.config.resolution
    features = FrozenFeatures(discriminator, [side for k in range(_FINEST) if (side := size >> k) >= 4])
    device = discriminator.fromrgb.conv.weight.device
    return FeatureSpace("mien-discriminator", size, lambda pictures: features(pictures.to(device)), weights=weights)


def mobilenet_space(network: MobileNetV2, weights: str = "") -> FeatureSpace:
    """The feature maps of a MobileNetV2, on its device; the vectors are the pooled features that `mien report` measures by."""
    device = next(network.parameters()).device
    return FeatureSpace(
        "MobileNetV2",
        network.input_size,
        lambda pictures: network.maps(pictures.to(device)),
        lambda maps: maps[-1].mean((2, 3)),
        weights,
    )


@dataclass(frozen=True)
class IdentityJudge:
    """What tells whose face it is."""

    name: str
    embed: Callable[[Tensor], Tensor]
    """FFHQ crops [N, 3, S, S] in [-1, 1] -> [N, D] of length 1."""
    weights: str = ""
    """Hash of the file that it comes from."""

    def vectors(self, pictures: Tensor) -> Tensor:
        """[N, D] of pictures [N, 3, S, S], on the CPU. In grey, as in the paper's identity loss."""
        return in_batches(lambda some: F.normalize(self.embed(grey(some)).float(), dim=1).cpu(), pictures, _BATCH)


def identity_judge(network: Embedder | MobileFaceNet, name: str, weights: str = "") -> IdentityJudge:
    """A network as the judge of who is who, on its device."""
    device = next(network.parameters()).device
    if isinstance(network, MobileFaceNet):
        return IdentityJudge(name, lambda pictures: identity_features(network, pictures.to(device)), weights)
    return IdentityJudge(name, lambda pictures: network.embed_crop(pictures.to(device)), weights)


@dataclass(frozen=True)
class Judges:
    """All that an evaluation judges by."""

    looks: FeatureSpace
    identity: IdentityJudge
