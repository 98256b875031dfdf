"""The common PyTorch format of StyleGAN2 (`.pt` files with `g_ema`, `d` and `latent_avg`), read and written.

It is the naming of the widely used port `rosinality/stylegan2-pytorch`, in which JoJoGAN, e4e, pSp and ReStyle keep their
generators. Our parameters have the same values, so that a round trip is exact: only names differ, and dimensions of length 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.foreign.deduce import (
    MAX_MAPPING_LAYERS,
    block_sizes,
    channel_rule,
    check_filter,
    low_pass_filter,
    shape,
    take,
    tensors_of,
)
from mien.checkpoint.foreign.rosinality_names import (
    Entry,
    discriminator_entries,
    discriminator_filters,
    generator_entries,
    generator_filters,
)
from mien.checkpoint.model_file import check_sizes, load_strictly, unfilled
from mien.errors import CheckpointError, shown
from mien.files import written_whole
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model
from mien.models.sampling import random_latents

_MEAN_SAMPLES = 10_000
_LR_MULTIPLIER = 0.01  # fixed in the original's training script; not stored


@dataclass(frozen=True)
class Parts:
    """What one file holds, as state dicts in its own naming."""

    generator: dict[str, Tensor] | None
    generator_key: str
    discriminator: dict[str, Tensor] | None
    latent_avg: Tensor | None


def looks_like_generator(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are names of a StyleGAN2 generator in this format."""
    return "input.input" in tensors and "conv1.conv.modulation.weight" in tensors


def looks_like_discriminator(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are names of a StyleGAN2 discriminator in this format."""
    return "convs.0.0.weight" in tensors and "final_linear.1.weight" in tensors


def find_parts(tree: Any) -> Parts | None:
    """The networks in a file's contents, or None where it holds neither: `g_ema` before `g`, a bare state dict,
    or the `decoder.` of a pSp, e4e or ReStyle checkpoint.
    """
    if not isinstance(tree, dict):
        return None
    generator, key, discriminator = None, "", None
    candidates = {name: tensors_of(tree.get(name)) for name in ("g_ema", "g", "generator", "G_ema", "params_ema")}
    candidates["state dict"] = tensors_of(tree)
    if (state := tensors_of(tree.get("state_dict"))) is not None:
        candidates["state_dict"] = state
        candidates["decoder"] = {k.removeprefix("decoder."): v for k, v in state.items() if k.startswith("decoder.")}
    for name, tensors in candidates.items():
        if tensors and looks_like_generator(tensors) and generator is None:
            generator, key = tensors, name
    for name in ("d", "discriminator"):
        tensors = tensors_of(tree.get(name))
        if tensors and looks_like_discriminator(tensors):
            discriminator = tensors
    bare = candidates["state dict"]
    if bare and looks_like_discriminator(bare):
        discriminator = bare
    if generator is None and discriminator is None:
        return None
    mean = tree.get("latent_avg")
    return Parts(generator, key, discriminator, mean if isinstance(mean, Tensor) else None)


def generator_config(tensors: Mapping[str, Tensor], what: str) -> GeneratorConfig:
    """The shape of a generator in this format."""
    layers = [key for key in tensors if re.fullmatch(r"style\.\d+\.weight", key)]
    blocks = [key for key in tensors if re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", key)]
    if len(layers) > MAX_MAPPING_LAYERS:
        raise CheckpointError(f"{what} has a mapping network of {len(layers)} layers; {MAX_MAPPING_LAYERS} are the most.")
    sizes = block_sizes(len(blocks), what)
    widths = {4: shape(tensors, "input.input", 4, what)[1]}
    for k, r in enumerate(sizes[1:]):
        widths[r] = shape(tensors, f"convs.{2 * k}.conv.weight", 5, what)[1]
    base, largest = channel_rule(widths, what)
    config = GeneratorConfig(
        resolution=sizes[-1],
        z_dim=shape(tensors, "style.1.weight", 2, what)[1],
        w_dim=shape(tensors, "conv1.conv.modulation.weight", 2, what)[1],
        mapping_layers=len(layers),
        mapping_lr_multiplier=_LR_MULTIPLIER,
        channel_base=base,
        channel_max=largest,
    )
    check_sizes(config, what)
    return config


def discriminator_config(tensors: Mapping[str, Tensor], what: str) -> DiscriminatorConfig:
    """The shape of a discriminator in this format."""
    blocks = [key for key in tensors if re.fullmatch(r"convs\.\d+\.skip\.1\.weight", key)]
    sizes = block_sizes(len(blocks), what)
    widths = {sizes[-1]: shape(tensors, "convs.0.0.weight", 4, what)[0]}
    for i, r in enumerate(sizes[-2::-1], start=1):
        widths[r] = shape(tensors, f"convs.{i}.conv2.1.weight", 4, what)[0]
    base, largest = channel_rule(widths, what)
    config = DiscriminatorConfig(resolution=sizes[-1], channel_base=base, channel_max=largest)
    check_sizes(config, what)
    return config


def _renamed(
    tensors: Mapping[str, Tensor], entries: list[Entry], filters: list[str], gain: float, what: str
) -> dict[str, Tensor]:
    """Our names for all of `tensors`; a name that nobody claims is an error."""
    for name in filters:
        if name in tensors:
            check_filter(tensors[name], gain, what)
    unknown = tensors.keys() - {entry.theirs for entry in entries} - set(filters)
    if unknown:
        some = ", ".join(shown(name, 40) for name in sorted(unknown)[:3])
        raise CheckpointError(
            f"{what} has {len(unknown)} tensors that a StyleGAN2 of its size does not have, such as {some}: "
            f"it is damaged or of another kind."
        )
    return {entry.ours: take(tensors, entry.theirs, what, drop=entry.extra) for entry in entries}


def build_generator(tensors: Mapping[str, Tensor], latent_avg: Tensor | None, what: str) -> tuple[Generator, list[str]]:
    """The generator of a state dict in this format, and remarks on what the file did not hold.

    Without `latent_avg` [w_dim] (or equal rows [num_ws, w_dim]) the mean code is that of 10,000 mapped codes, always the same
    ones.
    """
    remarks: list[str] = []
    config = generator_config(tensors, what)
    entries = list(generator_entries(config))
    if not any(name.startswith("noises.") for name in tensors):
        entries = [entry for entry in entries if not entry.theirs.startswith("noises.")]
        remarks.append("the file has no noise maps: zeros stand in for them")
    state = _renamed(tensors, entries, generator_filters(config), 4.0, what)
    with unfilled():
        generator = Generator(config)
    for name, value in generator.state_dict().items():
        if name.endswith("noise_const") and name not in state:
            state[name] = torch.zeros(value.shape)
    mean = _mean_code(latent_avg, config.w_dim)
    state["mapping.w_avg"] = torch.zeros(config.w_dim) if mean is None else mean
    load_strictly(generator, state, what)
    generator.eval().requires_grad_(False)
    if mean is None:
        remarks.append(f"the file has no usable mean code: it is the mean of {_MEAN_SAMPLES:,} mapped codes")
        z = random_latents(generator, _MEAN_SAMPLES)
        with torch.inference_mode():
            mean = torch.cat([generator.mapping(z[i : i + 1000]) for i in range(0, _MEAN_SAMPLES, 1000)]).double().mean(dim=0)
        generator.mapping.w_avg.copy_(mean.float())
    return generator, remarks


def _mean_code(latent_avg: Tensor | None, w_dim: int) -> Tensor | None:
    if latent_avg is None or latent_avg.numel() == 0 or latent_avg.numel() % w_dim or not latent_avg.is_floating_point():
        return None
    rows = latent_avg.float().reshape(-1, w_dim)
    return rows[0].clone() if torch.equal(rows, rows[:1].expand_as(rows)) else None


def build_discriminator(tensors: Mapping[str, Tensor], what: str) -> Discriminator:
    """The discriminator of a state dict in this format."""
    config = discriminator_config(tensors, what)
    state = _renamed(tensors, list(discriminator_entries(config)), discriminator_filters(config), 1.0, what)
    with unfilled():
        discriminator = Discriminator(config)
    load_strictly(discriminator, state, f"{what} (for images of {config.resolution} px)")
    return discriminator.eval().requires_grad_(False)


def tree_of(model: Model, *, half: bool = False) -> tuple[dict[str, Any], list[str]]:
    """A model as the contents of a `.pt` file in this format, and remarks on what the format cannot say.

    `g` and `g_ema` share their tensors. The file holds tensors and plain dicts only: `torch.load(weights_only=True)` reads it.
    """
    generator, discriminator = model.generator, model.discriminator
    config, remarks = generator.config, []
    state = generator.state_dict()
    gain = config.mapping_lr_multiplier / _LR_MULTIPLIER
    if gain != 1.0:
        for i in range(config.mapping_layers):
            for part in ("weight", "bias"):
                state[f"mapping.layers.{i}.{part}"] = state[f"mapping.layers.{i}.{part}"] * gain
        remarks.append(
            f"the mapping network's learning rate multiplier {config.mapping_lr_multiplier} is folded into its weights"
        )
    clamps = {config.conv_clamp} | ({discriminator.config.conv_clamp} if discriminator is not None else set())
    if clamps != {None}:
        remarks.append("the format has no clamp on activations: images differ where a value reaches it, which is rare")
    if discriminator is not None and discriminator.config.mbstd_group != 4:
        remarks.append(f"the format groups 4 images for the minibatch deviation, not {discriminator.config.mbstd_group}")
    if config.channel_max != 512 or config.channel_base not in (16384, 32768):
        remarks.append("its widths are not those of the original code, whose table of channels has to be changed to open it")
    if model.encoder is not None:
        remarks.append("the format has no place for the encoder, which is left out")
    g_ema = _theirs(state, list(generator_entries(config)), generator_filters(config), 4.0, half)
    tree: dict[str, Any] = {"g": g_ema, "g_ema": g_ema}
    if discriminator is not None:
        entries, filters = list(discriminator_entries(discriminator.config)), discriminator_filters(discriminator.config)
        tree["d"] = _theirs(discriminator.state_dict(), entries, filters, 1.0, half)
    tree["latent_avg"] = generator.mapping.w_avg.detach().cpu().clone()
    return tree, remarks


def _theirs(
    state: Mapping[str, Tensor], entries: list[Entry], filters: list[str], gain: float, half: bool
) -> dict[str, Tensor]:
    found = {}
    for entry in entries:
        value = state[entry.ours].detach().cpu().contiguous()
        for dim in entry.extra:
            value = value.unsqueeze(dim)
        found[entry.theirs] = value.half() if half else value
    return found | {name: low_pass_filter(gain) for name in filters}


def write(path: Path, model: Model, *, half: bool = False) -> list[str]:
    """Write a model as a `.pt` file, first to a temporary name; returns remarks on what the format cannot say."""
    tree, remarks = tree_of(model, half=half)
    with written_whole(path, CheckpointError) as temporary:
        try:
            torch.save(tree, temporary)
        except RuntimeError as error:  # its own name for what the system refused
            raise OSError("the system did not take all of it") from error
    return remarks
