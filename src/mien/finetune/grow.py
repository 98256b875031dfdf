"""Progressive start: append blocks to a small trained model (Karras et al. 2018, without the fade-in).

The new generator block's toRGB starts at zero, so the grown model first draws its old picture, up-sampled.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from mien.models.discriminator import Discriminator
from mien.models.generator import Generator


def grow_generator(generator: Generator, resolution: int) -> Generator:
    """A generator of `resolution` that starts as `generator` with its picture up-sampled; channels below stay as they are."""
    grown = Generator(replace(generator.config, resolution=resolution))
    with torch.no_grad():
        for r in grown.synthesis.resolutions:
            if r > generator.config.resolution:
                grown.synthesis.block(r).torgb.weight.zero_()
    grown.load_state_dict({**grown.state_dict(), **generator.state_dict()})
    return grown


def grow_discriminator(discriminator: Discriminator, resolution: int) -> Discriminator:
    """A discriminator of `resolution`: the blocks of `discriminator` below new ones; fromRGB and the new blocks are fresh.

    At the same resolution it is a copy.
    """
    grows = resolution > discriminator.config.resolution
    grown = Discriminator(replace(discriminator.config, resolution=resolution))
    old = {k: v for k, v in discriminator.state_dict().items() if not k.startswith("fromrgb.") or not grows}
    grown.load_state_dict({**grown.state_dict(), **old})
    return grown
