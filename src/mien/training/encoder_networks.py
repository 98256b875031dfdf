"""The encoder at the start of a run and of every stage: for more rows of codes, with a feature code, seeing larger images."""

from __future__ import annotations

from dataclasses import replace

import torch

from mien.errors import InputError
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.generator import Generator
from mien.models.model import Model
from mien.training.config import TrainConfig
from mien.training.networks import seeded_weights

_GROUPS = 8  # of group normalization: no block can be narrower


def encoder_of_stage(config: TrainConfig, source: Model | None, generator: Generator, stage: int) -> CompactEncoder | None:
    """The encoder to train beside the generator: the source's if it has one, or a fresh one; None where none is wanted.

    Of a later stage than the first it is one to fill: only its shape is that of the run. Raises `InputError` where the encoder
    cannot be grown to what the last stage wants.
    """
    c = config.reconstruction
    if not c.share:
        return None
    first, last = config.encoder_resolution(0), config.encoder_resolution(-1)
    # Every growth halves the width of the first block: a fresh encoder ends with the one that was asked for.
    width = min(c.max_width, c.width * last // first)
    shape = CompactEncoderConfig(first, generator.num_ws, generator.config.w_dim, width=width, max_width=c.max_width)
    old = source.encoder if source is not None and isinstance(source.encoder, CompactEncoder) else None
    _check_growth(old.config if old else shape, last)
    with seeded_weights(config.seed + 1):
        encoder = old or CompactEncoder(shape)
    return next_encoder(config, encoder, generator, stage)


def next_encoder(config: TrainConfig, encoder: CompactEncoder, generator: Generator, stage: int) -> CompactEncoder:
    """The encoder, grown to what a stage wants for its generator."""
    resolution, feature_size = config.encoder_resolution(stage), encoder.config.detail_resolution
    # A feature code needs an encoder that sees more than it.
    has_one = config.reconstruction.feature_code_share > 0 and feature_size < max(resolution, encoder.config.resolution)
    with seeded_weights(config.seed + 1):
        channels = generator.config.channels(feature_size) if has_one else 0
        return grow_encoder(encoder, generator.num_ws, channels, resolution=resolution)


def _check_growth(config: CompactEncoderConfig, resolution: int) -> None:
    doublings = max(0, resolution.bit_length() - config.resolution.bit_length())
    if config.width >> doublings < _GROUPS or (doublings and config.iterations > 1):
        raise InputError(
            f"The encoder sees {config.resolution} px and cannot be grown to {resolution}: its first block has {config.width} "
            f"channels (at least {_GROUPS << doublings} are needed) and it looks {config.iterations} times (1 is needed). "
            "Choose a smaller reconstruction.resolution."
        )


def grow_encoder(
    encoder: CompactEncoder, num_ws: int, feature_channels: int | None = None, *, resolution: int = 0
) -> CompactEncoder:
    """The encoder for a generator with `num_ws` rows: rows it lacks start as its last one, rows too many are left out.

    `feature_channels` adds a feature code (of zeros at first), takes it away or, if there are more, widens it; None leaves it
    as it is. An encoder that sees less than `resolution` px is grown until it sees as much.
    """
    while encoder.config.resolution < resolution:
        encoder = see_larger(encoder)
    config = encoder.config
    channels = config.detail_channels if feature_channels is None else feature_channels
    grown = CompactEncoder(replace(config, num_ws=num_ws, detail_channels=channels))
    state = encoder.state_dict()
    if channels != config.detail_channels:
        state = {k: v for k, v in state.items() if not k.startswith("detail.") or (channels and config.detail_channels)}
        fresh = {k: v for k, v in grown.state_dict().items() if k.startswith("detail.")}
        for name, value in fresh.items():
            known = state.get(name)
            if known is None:
                state[name] = value
            elif known.shape != value.shape:  # the last layer, which begins with zeros: new channels say nothing
                value[: len(known)] = known[: len(value)]
                state[name] = value
    for name in ("out.weight", "out.bias"):
        rows = list(state[name].split(config.w_dim))
        rows += [rows[-1]] * (num_ws - config.num_ws)
        state[name] = torch.cat(rows[:num_ws])
    grown.load_state_dict(state)
    return grown


@torch.no_grad()
def see_larger(encoder: CompactEncoder) -> CompactEncoder:
    """An encoder of images with twice the side that answers nearly as `encoder` does for the same images at half the side.

    One more block comes first, of half the width. Its skip, after a new stem, does what the old stem did: of the old stem's
    filters the strongest directions are kept (singular value decomposition), as many as the new stem has channels. The rest
    of the block adds nothing at first. Raises `InputError` where the first block is too narrow to be halved.
    """
    old = encoder.config
    _check_growth(old, old.resolution * 2)
    with seeded_weights(0):
        grown = CompactEncoder(replace(old, resolution=old.resolution * 2, width=old.width // 2))
    state, known = grown.state_dict(), encoder.state_dict()
    for name, value in known.items():
        kind, _, rest = name.partition(".")
        if kind == "blocks":
            index, _, part = rest.partition(".")
            state[f"blocks.{int(index) + 1}.{part}"] = value
        elif kind != "stem":
            state[name] = value
    count = old.width // 2
    u, sizes, v = torch.linalg.svd(known["stem.weight"].flatten(1), full_matrices=False)
    root = sizes[:count].sqrt()
    filters = (root[:, None] * v[:count]).view(count, 3, 3, 3)
    # Pixels lie half as far apart: what a filter says of a slope is half as much, of a brightness the same.
    even = (filters + filters.flip(2, 3)) / 2
    state["stem.weight"] = even + (filters - even) * 2
    state["stem.bias"] = torch.zeros_like(state["stem.bias"])
    state["blocks.0.skip.weight"] = (u[:, :count] * root)[:, :, None, None]
    state["blocks.0.skip.bias"] = known["stem.bias"]
    for name in ("blocks.0.conv1.weight", "blocks.0.conv1.bias"):
        state[name] = torch.zeros_like(state[name])
    grown.load_state_dict(state)
    return grown
