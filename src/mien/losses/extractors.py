"""What else a reference and a learner's picture can be compared by, beside a discriminator's features: for comparison with it.

JoJoGAN (section 3.1) takes the discriminator because it keeps details that other networks lose. A judge is a function from
pictures [N, 3, R, R] in [-1, 1] to feature maps [N, C, h, w] of the whole frame, whose mean L1 distance is the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from mien.models.identity import IdentityNetwork
from mien.models.mobilenet_v2 import MobileNetV2
from mien.ops import resize

Judge = Callable[[Tensor], Sequence[Tensor]]


def pixels(pictures: Tensor) -> list[Tensor]:
    """The pictures themselves."""
    return [pictures]


def identity_maps(network: IdentityNetwork) -> Judge:
    """The feature maps of mien's identity network, every place scaled to unit length."""
    return lambda pictures: _unit(network.maps(pictures.float()))


def mobilenet_maps(network: MobileNetV2) -> Judge:
    """The feature maps of a MobileNetV2, every place scaled to unit length (as for the perceptual distance)."""
    return lambda pictures: _unit(network.maps(resize(pictures.float(), network.input_size)))


def _unit(maps: Sequence[Tensor]) -> list[Tensor]:
    return [F.normalize(m, dim=1) for m in maps]
