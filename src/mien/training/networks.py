"""The networks at the start of a run and of every stage, which begins by appending blocks to the trained ones.

A progressive start as in Karras et al. 2018, without the fade-in. The new generator block's toRGB starts at zero, so the grown
model first draws its old image, up-sampled. The new discriminator block starts as nearly nothing but a way for the
down-sampled image to the old blocks, which so keep judging as they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from mien.errors import InputError
from mien.models.discriminator import Discriminator, DiscriminatorConfig, FromRGB
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model
from mien.training.config import NetworkConfig, TrainConfig
from mien.training.resolve import changed
from mien.training.widening import widened_discriminator, widened_generator, wider


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
    base, most = g.channel_base * config.widen, g.channel_max * config.widen
    network = NetworkConfig(g.z_dim, g.w_dim, g.mapping_layers, base, most, d.mbstd_group)
    return changed(config, {"network": network})


def first_networks(config: TrainConfig, source: Model | None) -> tuple[Generator, Discriminator]:
    """The networks that the run starts with: copies of the source's, widened and grown to the first stage, or fresh ones."""
    r = config.stages[0]
    with seeded_weights(config.seed):
        if source is None:
            return _empty(config, None, r)
        assert source.discriminator is not None
        generator, discriminator = source.generator, source.discriminator
        if config.widen > 1:
            generator = widened_generator(generator, config.widen)
            discriminator = widened_discriminator(discriminator, config.widen)
        return grow_generator(generator, r), grow_discriminator(discriminator, r)


def networks_to_fill(config: TrainConfig, source: Model | None, stage: int) -> tuple[Generator, Discriminator]:
    """Networks of a stage whose weights will be read from a state."""
    with seeded_weights(config.seed):
        return _empty(config, source, config.stages[stage])


def _empty(config: TrainConfig, source: Model | None, r: int) -> tuple[Generator, Discriminator]:
    if source is not None and source.discriminator is not None:
        g, d = wider(source.generator.config, config.widen), wider(source.discriminator.config, config.widen)
        return Generator(replace(g, resolution=r)), Discriminator(replace(d, resolution=r))
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
        grown, grown_discriminator = grow_generator(generator, resolution), grow_discriminator(discriminator, resolution)
        follower = grow_generator(average, resolution)
    follower.load_state_dict({**grown.state_dict(), **average.state_dict()})
    return grown, grown_discriminator, follower


def grow_generator(generator: Generator, resolution: int) -> Generator:
    """A generator of `resolution` that starts as `generator` with its image up-sampled; channels below stay as they are."""
    grown = Generator(replace(generator.config, resolution=resolution))
    with torch.no_grad():
        for r in grown.synthesis.resolutions:
            if r > generator.config.resolution:
                grown.synthesis.block(r).torgb.weight.zero_()
    grown.load_state_dict({**grown.state_dict(), **generator.state_dict()})
    return grown


def grow_discriminator(discriminator: Discriminator, resolution: int) -> Discriminator:
    """A discriminator of `resolution` that starts judging the down-sampled image about as `discriminator` does.

    At the same resolution it is a copy.
    """
    small = discriminator
    while small.config.resolution < resolution:
        small = _grown_once(small)
    copy = Discriminator(small.config)
    copy.load_state_dict(small.state_dict())
    return copy


@torch.no_grad()
def _grown_once(small: Discriminator) -> Discriminator:
    r = small.config.resolution * 2
    grown = Discriminator(replace(small.config, resolution=r))
    old = {k: v for k, v in small.state_dict().items() if not k.startswith("fromrgb.")}
    grown.load_state_dict({**grown.state_dict(), **old})
    block = grown.block(r)
    block.conv1.weight.zero_()  # nothing but the skip at first
    assert block.conv1.bias is not None
    block.conv1.bias.zero_()
    # The skip's 1 x 1 convolution turns the new fromRGB's maps into the old one's: least squares over random colors. The new
    # maps bend where the old ones do, as far as there are as many of them; one more is constant, for the offsets.
    new_rgb, old_rgb, count = grown.fromrgb.conv, small.fromrgb.conv, block.skip.weight.shape[1]
    assert new_rgb.bias is not None
    assert old_rgb.bias is not None
    new_rgb.weight.copy_(old_rgb.weight[:count])
    new_rgb.bias.copy_(old_rgb.bias[:count])
    new_rgb.weight[-1].zero_()
    new_rgb.bias[-1] = 1.0
    # Rounded: LAPACK's last bits depend on where in memory the matrices lie, and runs must be repeatable.
    seen, wanted = _colors(grown.fromrgb).double(), _colors(small.fromrgb).double()
    fitted = torch.linalg.lstsq(seen, wanted).solution.T.float().round(decimals=6)  # [old maps, new maps]
    scale = block.skip.scaled_weight(0.5**0.5) / block.skip.weight
    block.skip.weight.copy_(fitted[:, :, None, None] / scale)
    return grown


def _colors(fromrgb: FromRGB) -> Tensor:
    """What fromRGB makes of 4096 colors, [4096, maps]."""
    random = torch.Generator().manual_seed(0)
    colors = torch.rand(1, 3, 64, 64, generator=random) * 2 - 1
    found: Tensor = fromrgb(colors)[0].flatten(1).T
    return found
