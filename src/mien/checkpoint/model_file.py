"""Models in our own format: generator, and where there are any, discriminator and encoder, in one file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.checkpoint import native
from mien.checkpoint.soundness import check_networks
from mien.errors import CheckpointError, InputError, shown
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance

KIND = "model"

_Described = TypeVar("_Described")
_SHARED = 1 << 20  # bytes that tensors of one network may share


@contextmanager
def unfilled() -> Iterator[None]:
    """Networks made in this block have shapes but no numbers until `load_strictly` brings them: nothing is allocated twice."""
    with torch.device("meta"), _NoNumbers():
        yield


class _NoNumbers(TorchFunctionMode):
    """Random initial values are skipped: on the meta device torch spends two seconds on importing its compiler for them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.randn:
            return torch.empty(*args)
        if func in (Tensor.normal_, Tensor.uniform_, Tensor.mul_, Tensor.div, Tensor.__truediv__, Tensor.__rtruediv__):
            return args[0]
        return func(*args, **(kwargs or {}))


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load `state` into `module`; a mismatch lists three missing and three unexpected names.

    A module made in `unfilled` takes over the tensors themselves: nothing is allocated twice, nor before the shapes are
    known to fit. Tensors that share their memory with others (as all do that are views of a file) are copied, which is
    refused where together they claim more than lies behind them: so a small file cannot become a large network.
    """
    own = module.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = sorted(
        key
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
        or own[key].is_floating_point() != state[key].is_floating_point()
        or own[key].numel() == 0
    )
    if missing or extra or wrong:
        kinds = {"missing": missing, "unexpected": extra, "of another shape or type": wrong}
        told = ", ".join(f"{len(names)} {kind} {_three(names)}" for kind, names in kinds.items() if names)
        raise CheckpointError(f"{what} does not fit: {told}; the file is damaged or of another kind.")
    behind = {memory.data_ptr(): memory.nbytes() for memory in (value.untyped_storage() for value in state.values())}
    if sum(value.numel() * value.element_size() for value in state.values()) > sum(behind.values()) + _SHARED:
        raise CheckpointError(f"{what} is damaged: it claims more data than it holds.")
    on_meta = any(value.is_meta for value in own.values())
    if on_meta:
        taken: set[int] = set()
        state = {key: _owned(value, own[key].dtype, taken) for key, value in state.items()}
    module.load_state_dict(dict(state), strict=True, assign=on_meta)


def _three(names: list[str]) -> str:
    return f"({', '.join(shown(name, 60) for name in names[:3])})"


def _owned(value: Tensor, dtype: torch.dtype, taken: set[int]) -> Tensor:
    value = value.to(dtype).contiguous()
    memory = value.untyped_storage()
    if memory.nbytes() != value.numel() * value.element_size() or memory.data_ptr() in taken:
        value = value.clone()
    taken.add(value.untyped_storage().data_ptr())
    return value


def write_model(path: Path, model: Model, *, half: bool = False) -> None:
    """Save a model; `half` stores float16 (the digest then is that of the rounded weights).

    Raises `InputError` for a model with an encoder of others: only this project's own goes into a model file.
    """
    if model.encoder is not None and not isinstance(model.encoder, CompactEncoder):
        raise InputError(
            f"A model file holds an encoder of mien's own kind, not {type(model.encoder).__name__}: save the model without it."
        )
    parts = model.networks()
    tensors = {
        f"{name}.{key}": value.half() if half and value.is_floating_point() else value
        for name, module in parts.items()
        for key, value in module.state_dict().items()
    }
    configs: dict[str, Any] = {name: asdict(module.config) for name, module in parts.items()}  # type: ignore[call-overload]
    generator = {key: value for key, value in tensors.items() if key.startswith("generator.")}
    provenance = replace(model.provenance, digest=native.digest(generator))
    stored = {"licence" if name == "license" else name: value for name, value in asdict(provenance).items()}  # as files say it
    description = {"configs": configs, "provenance": stored, "soft_ground": model.blurred_background}
    native.write(path, KIND, tensors, description)


def generator_digest(generator: Generator) -> str:
    """What a style file names as its base: first 16 hex digits of a SHA-256 over the generator's tensors."""
    return native.digest({f"generator.{key}": value for key, value in generator.state_dict().items()})


def read_model(path: Path) -> Model:
    """Load a model of ours in evaluation mode, on the CPU, in float32.

    Raises `CheckpointError` for a file that `build_model` refuses, and for networks that make no sense (`soundness`).
    """
    model = build_model(path)
    check_networks(model.networks(), path)
    return model


def build_model(path: Path) -> Model:
    """The same without a look at the numbers: for those who want to say what is wrong with them.

    Raises `CheckpointError` when the file is of another kind, is damaged, or its generator is not the one that its description
    names.
    """
    tensors, document = native.read(path)
    check_kind(path, document, KIND)
    configs, provenance = configs_of(path, document), provenance_of(path, document)
    generator_config = described(path, configs["generator"], GeneratorConfig)
    try:
        with unfilled():
            generator = Generator(generator_config)
            parts: dict[str, nn.Module] = {"generator": generator}
            if "discriminator" in configs:
                parts["discriminator"] = Discriminator(described(path, configs["discriminator"], DiscriminatorConfig))
            if "encoder" in configs:
                parts["encoder"] = CompactEncoder(described(path, configs["encoder"], CompactEncoderConfig))
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path} has a damaged description ({shown(error)}): get it again.") from error
    for name, module in parts.items():
        load_strictly(module, native.part(tensors, name), f"the {name} in {path}")
        module.eval().requires_grad_(False)
    found = native.digest({key: value for key, value in tensors.items() if key.startswith("generator.")})
    if provenance.digest and provenance.digest != found:
        named = provenance.digest[:20]
        raise CheckpointError(f"{path} is damaged: its weights have the digest {found}, its description says {named}.")
    discriminator, encoder = parts.get("discriminator"), parts.get("encoder")
    assert discriminator is None or isinstance(discriminator, Discriminator)
    return Model(generator, discriminator, encoder, replace(provenance, digest=found), document.get("soft_ground") is True)


def check_kind(path: Path, document: Mapping[str, Any], kind: str) -> None:
    """Raise `CheckpointError` unless a file of ours is of the given kind."""
    if document["kind"] != kind:
        raise CheckpointError(f"{path} is a {document['kind']} of mien, not a {kind}: see `mien inspect {path}`.")


def configs_of(path: Path, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configurations of a model file, unchecked; that of the generator is always there."""
    configs = document.get("configs")
    if not isinstance(configs, dict) or "generator" not in configs or not all(isinstance(c, dict) for c in configs.values()):
        raise CheckpointError(f"{path} has a damaged description (no configuration): get it again.")
    return configs


def provenance_of(path: Path, document: Mapping[str, Any]) -> Provenance:
    """The provenance in a model file's description."""
    stored = document.get("provenance", {})
    if isinstance(stored, dict):
        stored = {"license" if name == "licence" else name: value for name, value in stored.items()}
    return described(path, stored, Provenance)


# Bounds that no real network reaches: a description must not make us build something enormous.
_MOST = {
    "resolution": 2048, "mapping_layers": 64, "z_dim": 8192, "w_dim": 8192, "channel_base": 2**20, "channel_max": 8192,
    "width": 8192, "max_width": 8192, "num_ws": 32, "mbstd_group": 1024, "iterations": 64,
    "detail_channels": 8192, "detail_resolution": 1024,
}  # fmt: skip


def check_sizes(config: Any, what: str) -> None:
    """Raise `CheckpointError` where a configuration, deduced from what a file claims, has a size that no real network has."""
    for name, most in _MOST.items():
        if getattr(config, name, 0) > most:
            raise CheckpointError(f"{what} has {name} {getattr(config, name)}; {most} is the most that mien reads.")


def described(path: Path, values: Any, cls: type[_Described]) -> _Described:
    """An instance of a frozen dataclass from a description: no unknown names, types as annotated, sizes within reason."""
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or not values.keys() <= known:
        unknown = sorted(values.keys() - known)[:3] if isinstance(values, dict) else values
        raise CheckpointError(f"{path} has settings that this mien does not know ({shown(unknown)}): update mien.")
    hints = get_type_hints(cls)
    for name, value in values.items():
        allowed = get_args(hints[name]) or (hints[name],)
        if isinstance(value, str):
            fits = str in allowed and value.isprintable()
        elif type(value) is int and int in allowed:
            fits = (0 if name in ("images_seen", "detail_channels") else 1) <= value <= _MOST.get(name, 2**53)
        elif type(value) in (int, float):
            fits = float in allowed and math.isfinite(value)
        else:
            fits = type(value) in allowed
        if not fits:
            raise CheckpointError(f"{path} has a damaged description ({name} is {shown(repr(value), 40)}): get it again.")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged description ({shown(error)}): get it again.") from error
