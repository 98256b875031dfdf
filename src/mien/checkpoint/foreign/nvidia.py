"""NVIDIA's StyleGAN2-ADA pickles (also StyleGAN2 networks of the StyleGAN3 code), read without executing anything in them.

The original pickles carry the source text of their classes, which the original reader executes. Here each module is a `Record`
with its parameters, buffers, submodules and settings, and only these are read. Values stay as they are: only names change.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from mien.checkpoint.foreign.deduce import MAX_MAPPING_LAYERS, block_sizes, channel_rule, check_filter, shape
from mien.checkpoint.foreign.pickled_values import Record
from mien.checkpoint.model_file import check_sizes, load_strictly, unfilled
from mien.errors import CheckpointError, shown
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig

_MAX_MODULES, _MAX_NAME = 1000, 100


def is_nvidia(tree: Any) -> bool:
    """Whether a file's contents are a dict of NVIDIA's networks, or one such network."""
    values = tree.values() if isinstance(tree, dict) else [tree]
    return any(isinstance(value, Record) and value.type_name.startswith("nvidia.") for value in values)


def networks(tree: Any) -> tuple[Record | None, Record | None]:
    """Generator (`G_ema` before `G`) and discriminator of a file."""
    if isinstance(tree, Record):
        tree = {"D" if "Discriminator" in tree.type_name else "G_ema": tree}
    found = {key: value for key, value in tree.items() if isinstance(value, Record) and value.type_name.startswith("nvidia.")}
    return found.get("G_ema", found.get("G")), found.get("D")


def _submodule(record: Record, path: str, what: str) -> Record:
    for name in path.split("."):
        children = record.fields().get("_modules")
        child = children.get(name) if isinstance(children, dict) else None
        if not isinstance(child, Record):
            raise CheckpointError(f"{what} is damaged or of another kind: it has no part {path!r}.")
        record = child
    return record


def _tensors(record: Record, what: str) -> dict[str, Tensor]:
    """All parameters and buffers below a module, by their dotted names."""
    found: dict[str, Tensor] = {}
    waiting, visited = [("", record)], 0
    while waiting:
        prefix, module = waiting.pop()
        fields, visited = module.fields(), visited + 1
        if visited > _MAX_MODULES:  # one module may be its own part
            raise CheckpointError(f"{what} is damaged: it has more modules than any StyleGAN2.")
        for group in ("_parameters", "_buffers", "_modules"):
            members = fields.get(group)
            for name, value in members.items() if isinstance(members, dict) else ():
                if not isinstance(name, str) or len(name) > _MAX_NAME:
                    raise CheckpointError(f"{what} is damaged: it has a part named {shown(name, 30)}.")
                if isinstance(value, Tensor):
                    found[f"{prefix}{name}"] = value
                elif isinstance(value, Record) and group == "_modules" and len(waiting) < _MAX_MODULES:
                    waiting.append((f"{prefix}{name}.", value))
    return found


def _check_kind(record: Record, what: str, child: str) -> None:
    fields = record.fields()
    names = fields.get("_modules")
    parts = set(names) if isinstance(names, dict) else set()
    if "synthesis" in parts:
        inner = _submodule(record, "synthesis", what).fields().get("_modules")
        if isinstance(inner, dict) and ("input" in inner or any(str(name).startswith("L0_") for name in inner)):
            raise CheckpointError(
                f"{what} is a StyleGAN3 network, which mien does not support: use a StyleGAN2 or StyleGAN2-ADA model."
            )
    if "backbone" in parts or child not in parts:
        raise CheckpointError(
            f"{what} is {shown(record.type_name)} with the parts {sorted(map(shown, parts))[:4]}, not a StyleGAN2."
        )
    if isinstance(fields.get("c_dim"), int) and fields["c_dim"] > 0:
        raise CheckpointError(
            f"{what} is a conditional model ({fields['c_dim']} classes), which mien does not support: use one without labels."
        )
    if fields.get("img_channels", 3) != 3:
        raise CheckpointError(f"{what} makes images of {shown(fields['img_channels'])} channels; mien needs 3.")


def _number(record: Record, name: str, default: float) -> float:
    value = record.fields().get(name, default)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else default


def _clamp(record: Record) -> float | None:
    value = record.fields().get("conv_clamp")
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _drop_filters(tensors: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    for name, value in tensors.items():
        if name.endswith("resample_filter"):
            check_filter(value, 1.0, what)
    return {name: value for name, value in tensors.items() if not name.endswith("resample_filter")}


def build_generator(record: Record, what: str) -> Generator:
    """The generator of one of NVIDIA's modules."""
    _check_kind(record, what, "synthesis")
    tensors = _drop_filters(_tensors(record, what), what)
    sizes = block_sizes(sum(name.endswith(".torgb.weight") for name in tensors) - 1, what)
    widths = {r: shape(tensors, f"synthesis.b{r}.conv1.weight", 4, what)[0] for r in sizes}
    base, largest = channel_rule(widths, what)
    layers = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in tensors)
    if layers > MAX_MAPPING_LAYERS:
        raise CheckpointError(f"{what} has a mapping network of {layers} layers; {MAX_MAPPING_LAYERS} are the most.")
    w_dim, z_dim = shape(tensors, "mapping.fc0.weight", 2, what)
    first = _submodule(record, "mapping.fc0", what)
    block = _submodule(record, f"synthesis.b{sizes[-1]}", what)
    if block.fields().get("architecture", "skip") != "skip":
        raise CheckpointError(f"{what} has the architecture {shown(block.fields()['architecture'])}; mien needs 'skip'.")
    config = GeneratorConfig(
        resolution=sizes[-1],
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=layers,
        mapping_lr_multiplier=round(_number(first, "bias_gain", 0.01), 9),
        channel_base=base,
        channel_max=largest,
        conv_clamp=_clamp(_submodule(block, "conv1", what)),
    )
    state = {name.replace("mapping.fc", "mapping.layers."): value for name, value in tensors.items()}
    check_sizes(config, what)
    with unfilled():
        generator = Generator(config)
    load_strictly(generator, state, what)
    return generator.eval().requires_grad_(False)


def build_discriminator(record: Record, what: str) -> Discriminator:
    """The discriminator of one of NVIDIA's modules."""
    _check_kind(record, what, "b4")
    tensors = _drop_filters(_tensors(record, what), what)
    sizes = block_sizes(sum(name.endswith(".skip.weight") for name in tensors), what)
    first, last = _submodule(record, f"b{sizes[-1]}", what), _submodule(record, "b4", what)
    if first.fields().get("architecture", "resnet") != "resnet":
        raise CheckpointError(f"{what} has the architecture {shown(first.fields()['architecture'])}; mien needs 'resnet'.")
    widths = {sizes[-1]: shape(tensors, f"b{sizes[-1]}.fromrgb.weight", 4, what)[0]}
    for r in sizes[1:]:
        widths[r // 2] = shape(tensors, f"b{r}.conv1.weight", 4, what)[0]
    base, largest = channel_rule(widths, what)
    deviation = _submodule(last, "mbstd", what)
    if _number(deviation, "num_channels", 1) != 1:
        raise CheckpointError(
            f"{what} has more than one channel of minibatch standard deviation: this variant is not supported."
        )
    config = DiscriminatorConfig(
        resolution=sizes[-1],
        channel_base=base,
        channel_max=largest,
        conv_clamp=_clamp(_submodule(first, "conv1", what)),
        mbstd_group=max(1, int(_number(deviation, "group_size", 4))),
    )
    state = {name.replace(f"b{sizes[-1]}.fromrgb.", "fromrgb.conv."): value for name, value in tensors.items()}
    check_sizes(config, what)
    with unfilled():
        discriminator = Discriminator(config)
    load_strictly(discriminator, state, what)
    return discriminator.eval().requires_grad_(False)
