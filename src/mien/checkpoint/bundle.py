"""Models in our own format: generator, and where there are any, discriminator and encoder, in one file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.checkpoint import format
from mien.errors import CheckpointError
from mien.models.bundle import Model, Provenance
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig

KIND = "model"


def load_strictly(module: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Load `state` into `module`; a mismatch lists three missing and three unexpected names."""
    own = module.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or extra or wrong:
        raise CheckpointError(
            f"{what} does not fit: {len(missing)} missing {missing[:3]}, {len(extra)} unexpected {extra[:3]}, "
            f"{len(wrong)} of another shape {wrong[:3]}; the file is damaged or of another kind."
        )
    module.load_state_dict(state, strict=True)


def write_model(path: Path, model: Model, *, half: bool = False) -> None:
    """Save a model; `half` stores float16 (the digest then is that of the rounded weights)."""
    parts: dict[str, nn.Module | None] = {
        "generator": model.generator, "discriminator": model.discriminator, "encoder": model.encoder,
    }  # fmt: skip
    tensors = {
        f"{name}.{key}": value.half() if half and value.is_floating_point() else value
        for name, module in parts.items()
        if module is not None
        for key, value in module.state_dict().items()
    }
    configs: dict[str, Any] = {name: asdict(module.config) for name, module in parts.items() if module is not None}  # type: ignore[call-overload]
    generator = {key: value for key, value in tensors.items() if key.startswith("generator.")}
    provenance = replace(model.provenance, digest=format.digest(generator))
    format.write(path, KIND, tensors, {"configs": configs, "provenance": asdict(provenance)})


def read_model(path: Path) -> Model:
    """Load a model of ours in evaluation mode, on the CPU, in float32."""
    tensors, document = format.read(path)
    if document["kind"] != KIND:
        raise CheckpointError(f"{path} is a {document['kind']} of mien, not a model: see `mien inspect {path}`.")
    configs = document["configs"]
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(**configs["generator"]))
        discriminator = Discriminator(DiscriminatorConfig(**configs["discriminator"])) if "discriminator" in configs else None
        encoder = CompactEncoder(CompactEncoderConfig(**configs["encoder"])) if "encoder" in configs else None
    for name, module in (("generator", generator), ("discriminator", discriminator), ("encoder", encoder)):
        if module is not None:
            module.to_empty(device="cpu")
            load_strictly(module, format.part(tensors, name), f"the {name} in {path}")
            module.eval().requires_grad_(False)
    return Model(generator, discriminator, encoder, Provenance(**document["provenance"]))
