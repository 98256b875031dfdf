"""Networks with more channels that compute the same as the narrow ones they begin from.

New channels start at random and unheard: whatever reads them has zeros for them. So they cost nothing of what is known, and
learning to listen to them is a matter of a few steps (Chen et al. 2016, "Net2Net", has the idea for plain networks).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig

C = TypeVar("C", GeneratorConfig, DiscriminatorConfig)


def wider(config: C, factor: int) -> C:
    """The shape with `factor` times as many channels in every block."""
    return replace(config, channel_base=config.channel_base * factor, channel_max=config.channel_max * factor)


@torch.no_grad()
def widened_generator(narrow: Generator, factor: int) -> Generator:
    """A generator with `factor` times as many channels that draws the same images, up to rounding."""
    wide = Generator(wider(narrow.config, factor))
    wide.load_state_dict(_filled(narrow.state_dict(), wide.state_dict()))
    return wide


@torch.no_grad()
def widened_discriminator(narrow: Discriminator, factor: int) -> Discriminator:
    """A discriminator with `factor` times as many channels that judges about alike.

    Only nearly: the minibatch standard deviation counts the new channels too.
    """
    wide = Discriminator(wider(narrow.config, factor))
    state = _filled(narrow.state_dict(), wide.state_dict())
    # The epilogue's last input is the minibatch standard deviation: it stays the last.
    old, name = narrow.state_dict()["b4.conv.weight"], "b4.conv.weight"
    outputs, inputs = old.shape[0], old.shape[1] - 1
    scale = math.sqrt(state[name][0].numel() / old[0].numel())
    state[name][:outputs] = 0
    state[name][:outputs, :inputs] = old[:, :-1] * scale
    state[name][:outputs, -1] = old[:, -1] * scale
    wide.load_state_dict(state)
    return wide


def _filled(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The wide network's tensors with the narrow one's in their corners, and zeros beside them."""
    found = {}
    for name, value in wide.items():
        old, new = narrow[name], value.clone()
        if old.shape == new.shape:
            new.copy_(old)
        elif old.shape[1:] == new.shape[1:]:  # more outputs only: biases, the constant, fromRGB, affine layers
            new[: len(old)] = old
        else:
            # Weights are divided by the root of their inputs when used (equalized learning rate).
            new[: len(old)] = 0
            new[: len(old), : old.shape[1]] = old * math.sqrt(new[0].numel() / old[0].numel())
        found[name] = new
    return found
