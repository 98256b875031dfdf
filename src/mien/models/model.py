"""What belongs together: a generator with the discriminator, encoder and identity network that were trained with it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import nn

from mien.models.compact_encoder import CompactEncoder
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Provenance:
    """Where weights come from and what may be done with them."""

    name: str = "unnamed"
    license: str = "unknown"
    source: str = ""
    """One sentence: who trained it on what, or which file it was converted from."""
    images_seen: int = 0
    """Training images shown so far; 0 when unknown."""
    digest: str = ""
    """First 16 hex digits of the SHA-256 over the generator's tensors as stored: what a style file names as its base."""
    base: str = ""
    """Digest of the generator that this one was fine-tuned from; empty when there was none."""


@dataclass
class Model:
    """A face model (or cars, or cats): `generator` is always there, the rest where a file has it.

    `encoder` inverts images (photo -> W+); `discriminator` is needed to fine-tune, not to render. `blurred_background`: it
    learned from images with blurred backgrounds (`faces.background`), and inverts photos best that are treated alike.
    """

    generator: Generator
    discriminator: Discriminator | None = None
    encoder: nn.Module | None = None
    provenance: Provenance = field(default_factory=Provenance)
    blurred_background: bool = False

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.generator.config.resolution

    def networks(self) -> dict[str, nn.Module]:
        """The networks that are there, by the names of their parts in a model file."""
        parts = {"generator": self.generator, "discriminator": self.discriminator, "encoder": self.encoder}
        return {name: network for name, network in parts.items() if network is not None}


def frozen(model: Model, device: torch.device | None = None) -> Model:
    """The model on a device (None: where its generator is), in evaluation mode and without gradients: to render with.

    Networks that are so already are shared; others are copied, so that `model` stays as it is.
    """
    place = device or next(model.generator.parameters()).device
    encoder = None if model.encoder is None else _frozen(model.encoder, place)
    discriminator = None if model.discriminator is None else _frozen(model.discriminator, place)
    return replace(model, generator=_frozen(model.generator, place), discriminator=discriminator, encoder=encoder)


def _frozen(network: Network, device: torch.device) -> Network:
    tensors = [*network.parameters(), *network.buffers()]
    there = all(t.device.type == device.type and (device.index is None or t.device.index == device.index) for t in tensors)
    trained = any(p.requires_grad for p in network.parameters()) or any(part.training for part in network.modules())
    return network if there and not trained else copy.deepcopy(network).to(device).eval().requires_grad_(False)


__all__ = ["CompactEncoder", "Model", "Provenance", "frozen"]
