"""The networks at the start of a run and of every stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from mien.errors import InputError
from mien.finetune.grow import grow_discriminator, grow_encoder, grow_generator
from mien.finetune.train_config import NetworkConfig, TrainConfig, changed
from mien.models.bundle import Model
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """New weights come from torch's own generator: from `seed` on inside the block, and as before after it."""
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def check_source(config: TrainConfig, source: Model) -> TrainConfig:
    """The configuration with the networks that the source has; raises `InputError` where it cannot be trained from."""
    if source.discriminator is None:
        raise InputError(f"{config.source} has no discriminator, and adversarial training needs one: use a whole model.")
    g, d = source.generator.config, source.discriminator.config
    if g.resolution > config.stages[0]:
        raise InputError(f"{config.source} has {g.resolution} px, so training cannot start at {config.stages[0]} px.")
    network = NetworkConfig(g.z_dim, g.w_dim, g.mapping_layers, g.channel_base, g.channel_max, d.mbstd_group)
    return changed(config, {"network": network})


def first_networks(config: TrainConfig, source: Model | None) -> tuple[Generator, Discriminator]:
    """The networks that the run starts with: copies of the source's, grown to the first stage, or fresh ones."""
    r = config.stages[0]
    with seeded_weights(config.seed):
        if source is None:
            return _empty(config, None, r)
        assert source.discriminator is not None
        return grow_generator(source.generator, r), grow_discriminator(source.discriminator, r)


def first_encoder(config: TrainConfig, source: Model | None, generator: Generator) -> CompactEncoder | None:
    """The encoder to train beside the generator: the source's if it has one, or a fresh one; None where none is wanted."""
    c = config.reconstruction
    if not c.share:
        return None
    shape = CompactEncoderConfig(
        min(c.resolution, config.stages[0]), generator.num_ws, generator.config.w_dim, width=c.width, max_width=c.max_width
    )
    old = source.encoder if source is not None and isinstance(source.encoder, CompactEncoder) else None
    if old is not None:
        shape = old.config
    # A detail map needs an encoder that sees more than it.
    has_detail = c.detail_share > 0 and shape.detail_resolution < shape.resolution
    channels = generator.config.channels(shape.detail_resolution) if has_detail else 0
    with seeded_weights(config.seed + 1):
        return grow_encoder(old or CompactEncoder(shape), generator.num_ws, channels)


def networks_to_fill(config: TrainConfig, source: Model | None, stage: int) -> tuple[Generator, Discriminator]:
    """Networks of a stage whose weights will be read from a state."""
    with seeded_weights(config.seed):
        return _empty(config, source, config.stages[stage])


def _empty(config: TrainConfig, source: Model | None, r: int) -> tuple[Generator, Discriminator]:
    if source is not None and source.discriminator is not None:
        g, d = replace(source.generator.config, resolution=r), replace(source.discriminator.config, resolution=r)
        return Generator(g), Discriminator(d)
    n = config.network
    widths = {"channel_base": n.channel_base, "channel_max": n.channel_max}
    return (
        Generator(GeneratorConfig(r, n.z_dim, n.w_dim, n.mapping_layers, **widths)),
        Discriminator(DiscriminatorConfig(r, **widths, mbstd_group=n.mbstd_group)),
    )


def grown_source(config: TrainConfig, source: Model, resolution: int) -> Generator:
    """The source's generator at `resolution`: what the first stage's generator was before its first step."""
    with seeded_weights(config.seed):
        return grow_generator(source.generator, resolution)


def next_networks(
    generator: Generator, discriminator: Discriminator, average: Generator, resolution: int, seed: int
) -> tuple[Generator, Discriminator, Generator]:
    """Generator, discriminator and moving average of the next stage; what is new in the average is the live network's."""
    with seeded_weights(seed):
        grown, judge = grow_generator(generator, resolution), grow_discriminator(discriminator, resolution)
        follower = grow_generator(average, resolution)
    follower.load_state_dict({**grown.state_dict(), **average.state_dict()})
    return grown, judge, follower
