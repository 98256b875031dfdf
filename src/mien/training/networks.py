"""The networks at the start of a run and of every stage, which begins by appending blocks to the trained ones.

A progressive start as in Karras et al. 2018, without the fade-in. The new generator block's toRGB starts at zero, so the grown
model first draws its old picture, up-sampled. The new discriminator block starts as nearly nothing but a way for the
down-sampled picture to the old blocks, which so keep judging as they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from mien.errors import InputError
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig, FromRGB
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model
from mien.training.config import NetworkConfig, TrainConfig
from mien.training.resolve import changed


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
    """A discriminator of `resolution` that starts judging the down-sampled picture about as `discriminator` does.

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
    # The skip's 1 x 1 convolution turns the new fromRGB's maps into the old one's: least squares over random colours. The new
    # maps bend where the old ones do, as far as there are as many of them; one more is constant, for the offsets.
    new_rgb, old_rgb, count = grown.fromrgb.conv, small.fromrgb.conv, block.skip.weight.shape[1]
    assert new_rgb.bias is not None
    assert old_rgb.bias is not None
    new_rgb.weight.copy_(old_rgb.weight[:count])
    new_rgb.bias.copy_(old_rgb.bias[:count])
    new_rgb.weight[-1].zero_()
    new_rgb.bias[-1] = 1.0
    # Rounded: LAPACK's last bits depend on where in memory the matrices lie, and runs must be repeatable.
    seen, wanted = _colours(grown.fromrgb).double(), _colours(small.fromrgb).double()
    fitted = torch.linalg.lstsq(seen, wanted).solution.T.float().round(decimals=6)  # [old maps, new maps]
    scale = block.skip.scaled_weight(0.5**0.5) / block.skip.weight
    block.skip.weight.copy_(fitted[:, :, None, None] / scale)
    return grown


def _colours(fromrgb: FromRGB) -> Tensor:
    """What fromRGB makes of 4096 colours, [4096, maps]."""
    random = torch.Generator().manual_seed(0)
    colours = torch.rand(1, 3, 64, 64, generator=random) * 2 - 1
    found: Tensor = fromrgb(colours)[0].flatten(1).T
    return found


def grow_encoder(encoder: CompactEncoder, num_ws: int, detail_channels: int | None = None) -> CompactEncoder:
    """The encoder for a generator with `num_ws` rows: rows it lacks start as its last one, rows too many are left out.

    `detail_channels` adds a detail map (of zeros at first) or takes it away; None leaves it as it is.
    """
    config = encoder.config
    channels = config.detail_channels if detail_channels is None else detail_channels
    grown = CompactEncoder(replace(config, num_ws=num_ws, detail_channels=channels))
    state = encoder.state_dict()
    if channels != config.detail_channels:
        state = {k: v for k, v in state.items() if not k.startswith("detail.")}
        state |= {k: v for k, v in grown.state_dict().items() if k.startswith("detail.")}
    for name in ("out.weight", "out.bias"):
        rows = list(state[name].split(config.w_dim))
        rows += [rows[-1]] * (num_ws - config.num_ws)
        state[name] = torch.cat(rows[:num_ws])
    grown.load_state_dict(state)
    return grown
