"""What faces are compared by in an evaluation: a feature extractor, and an identity network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from mien.losses.extractors import FeatureExtractor
from mien.losses.features import gray
from mien.metrics.perceptual import identity_features
from mien.models.embedders import Embedder
from mien.models.mobilefacenet import MobileFaceNet
from mien.ops.batches import in_batches

_BATCH = 8


@dataclass(frozen=True)
class IdentityMetric:
    """What tells whose face it is."""

    name: str
    embed: Callable[[Tensor], Tensor]
    """FFHQ crops [N, 3, S, S] in [-1, 1] -> [N, D] of length 1."""
    weights: str = ""
    """Hash of the file that it comes from."""

    def vectors(self, images: Tensor) -> Tensor:
        """[N, D] of images [N, 3, S, S], on the CPU. In gray, as in the paper's identity loss."""
        return in_batches(lambda some: F.normalize(self.embed(gray(some)).float(), dim=1).cpu(), images, _BATCH)


def identity_metric(network: Embedder | MobileFaceNet, name: str, weights: str = "") -> IdentityMetric:
    """An identity network, on its device."""
    device = next(network.parameters()).device
    if isinstance(network, MobileFaceNet):
        return IdentityMetric(name, lambda images: identity_features(network, images.to(device)), weights)
    return IdentityMetric(name, lambda images: network.embed_crop(images.to(device)), weights)


@dataclass(frozen=True)
class MetricNetworks:
    """All that an evaluation measures with."""

    looks: FeatureExtractor
    identity: IdentityMetric
