"""The one table of what files hold: a new format is a new entry, and `load_model`, `inspect_file` and `convert` know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from mien.checkpoint import model_file
from mien.checkpoint.foreign import encoders, nvidia, rosinality
from mien.checkpoint.foreign.encoders import LoadedEncoder
from mien.checkpoint.foreign.pickled_values import Record
from mien.checkpoint.foreign.sniff import Contents
from mien.errors import CheckpointError, shown
from mien.models.embedders import ArcFace
from mien.models.model import Model, Provenance

Role = Literal["model", "encoder", "identity"]


@dataclass(frozen=True)
class Built:
    """What one format finds in a file; nothing has looked at the numbers yet."""

    value: Model | LoadedEncoder | ArcFace
    networks: Mapping[str, nn.Module]
    """By the names of their parts."""
    kind: str
    """The format's name, or of an encoder which one it is."""
    summary: str
    """What it is, for people, without a full stop."""
    resolution: int
    remarks: tuple[str, ...] = ()
    """What the file did not hold or say."""
    document: dict[str, Any] = field(default_factory=dict)
    """Plain values that the file says of itself."""


@dataclass(frozen=True)
class Format:
    """One way of storing networks."""

    name: str
    """What --kind calls it."""
    title: str
    """What it is, for people."""
    role: Role
    detect: Callable[[Contents], bool]
    """Whether the contents hold it: cheap, by names alone."""
    build: Callable[[Contents, Format], Built]
    """The networks, in float32 on the CPU; raises `CheckpointError` where the contents are damaged."""


def formats_of(contents: Contents, role: Role | None = None) -> list[Format]:
    """All formats that the contents hold (a file of e4e holds an encoder and a model), the most telling first."""
    return [found for found in FORMATS if role in (None, found.role) and found.detect(contents)]


def not_known(contents: Contents) -> str:
    """What readable contents are when they are nothing of the table, as the rest of a sentence."""
    tree = contents.tree
    if isinstance(tree, Record):
        return f"is a whole pickled network ({shown(tree.type_name)}), not weights: save its state_dict() instead"
    if isinstance(tree, dict):
        running = tree.get("g_running")
        if isinstance(running, dict) and any(str(key).startswith("generator.progression") for key in running):
            return "is a StyleGAN1 model, which mien does not support: use a StyleGAN2 model"
        names = ", ".join(shown(key, 30) for key in list(tree)[:4])
        return f"holds {names or 'nothing'}, which is no model that mien knows"
    return "holds no weights that mien knows"


def _finished(contents: Contents, form: Format, model: Model, source: str, remarks: tuple[str, ...] = ()) -> Built:
    digest = model_file.generator_digest(model.generator)
    sentence = f"read from {contents.path.name} ({source}{''.join(f'; {remark}' for remark in remarks)})"
    model.provenance = Provenance(name=contents.path.stem, source=sentence, digest=digest)
    return _of_model(form, model, remarks)


def _of_model(form: Format, model: Model, remarks: tuple[str, ...] = ()) -> Built:
    summary = f"StyleGAN2 {form.title}, {model.resolution} px"
    return Built(model, model.networks(), form.name, summary, model.resolution, remarks)


def _mien_model(contents: Contents, form: Format) -> Built:
    return _of_model(form, model_file.build_model(contents.path))


def _rosinality_model(contents: Contents, form: Format) -> Built:
    parts = rosinality.find_parts(contents.tree)
    assert parts is not None
    path = contents.path
    if parts.generator is None:
        raise CheckpointError(f"{path} holds a discriminator but no generator: use the file that has g_ema or g.")
    generator, remarks = rosinality.build_generator(parts.generator, parts.latent_avg, f"the generator in {path}")
    discriminator = None
    if parts.discriminator is not None:
        discriminator = rosinality.build_discriminator(parts.discriminator, f"the discriminator in {path}")
    source = f"PyTorch StyleGAN2, {parts.generator_key}"
    return _finished(contents, form, Model(generator, discriminator), source, tuple(remarks))


def _nvidia_model(contents: Contents, form: Format) -> Built:
    path = contents.path
    generator, discriminator = nvidia.networks(contents.tree)
    if generator is None:
        raise CheckpointError(f"{path} holds a discriminator but no generator: use the file that has G_ema.")
    model = Model(nvidia.build_generator(generator, f"the generator in {path}"))
    if discriminator is not None:
        model.discriminator = nvidia.build_discriminator(discriminator, f"the discriminator in {path}")
    return _finished(contents, form, model, "NVIDIA StyleGAN2-ADA")


def _identity(contents: Contents, form: Format) -> Built:
    tensors = encoders.find_identity(contents.tree)
    assert tensors is not None
    network = encoders.build_identity(tensors, f"the identity network in {contents.path}")
    return Built(network, {"identity": network}, form.name, f"{form.title}, {network.resolution} px", network.resolution)


def _encoder(contents: Contents, form: Format) -> Built:
    parts = encoders.find_encoder(contents.tree)
    assert parts is not None
    what = f"the encoder in {contents.path}"
    kinds = encoders.possible_kinds(parts, what)
    loaded = encoders.build_encoder(parts, kinds[0], what)
    name, config = " or ".join(kinds), loaded.encoder.config
    remarks = (f"it does not say whether it is {name}: `kind` is needed to load it",) if len(kinds) > 1 else ()
    summary, document = f"{form.title} {name}, {config.num_ws} rows", {"opts": parts.opts}
    return Built(loaded, {"encoder": loaded.encoder}, name, summary, config.resolution, remarks, document)


def _is_identity(contents: Contents) -> bool:
    return encoders.find_identity(contents.tree) is not None


def _is_encoder(contents: Contents) -> bool:
    return not _is_identity(contents) and encoders.find_encoder(contents.tree) is not None


FORMATS: tuple[Format, ...] = (
    Format("mien", "model of mien", "model", lambda contents: contents.container == "mien", _mien_model),
    Format(
        "nvidia", "model by NVIDIA's StyleGAN2-ADA code", "model", lambda contents: nvidia.is_nvidia(contents.tree),
        _nvidia_model,
    ),
    Format("arcface", "ArcFace IR-SE50 identity network", "identity", _is_identity, _identity),
    Format("encoder", "Encoder", "encoder", _is_encoder, _encoder),
    Format(
        "rosinality", "model in the common PyTorch format", "model",
        lambda contents: rosinality.find_parts(contents.tree) is not None, _rosinality_model,
    ),
)  # fmt: skip
MODEL_KINDS = tuple(form.name for form in FORMATS if form.role == "model")
