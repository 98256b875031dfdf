"""Opens weights of every readable format by content, and writes ours and the common `.pt`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from mien.checkpoint import model_file
from mien.checkpoint.foreign import encoders, nvidia, rosinality
from mien.checkpoint.foreign.encoders import LoadedEncoder
from mien.checkpoint.foreign.pickled_values import Record
from mien.checkpoint.foreign.sniff import Contents, open_contents
from mien.checkpoint.hub.published import located
from mien.errors import CheckpointError, InputError, shown
from mien.models.embedders import ArcFace
from mien.models.model import Model, Provenance

ModelKind = Literal["mien", "rosinality", "nvidia"]


def load_model(path: str | Path, *, kind: str | None = None) -> Model:
    """Open a model, on the CPU, in float32 and evaluation mode; what the file is, its content tells, never its name.

    Reads our own files, StyleGAN2 `.pt` files in the common PyTorch naming (also the decoder of a pSp, e4e or ReStyle
    checkpoint) and NVIDIA's StyleGAN2-ADA pickles; nothing in a file is executed. `path` may be the name of a
    published file that was got (`mien models get`). `kind` insists on one of `mien`, `rosinality`, `nvidia`. Raises
    `CheckpointError` with one sentence for anything else.
    """
    path = located(Path(path))
    if kind is not None and kind not in get_args(ModelKind):
        raise InputError(f"There is no kind of model {kind!r}: choose one of {', '.join(get_args(ModelKind))}.")
    contents = open_contents(path)
    found = model_kind(contents)
    if found is None:
        raise CheckpointError(f"{path} {not_a_model(contents)}.")
    if kind not in (None, found):
        raise CheckpointError(f"{path} is of kind {found}, not {kind}: change or leave out --kind.")
    return build_model(contents)[0]


def model_kind(contents: Contents) -> ModelKind | None:
    """Which kind of model the contents are, or None."""
    if contents.container == "mien":
        return "mien"
    if nvidia.is_nvidia(contents.tree):
        return "nvidia"
    return "rosinality" if rosinality.find_parts(contents.tree) is not None else None


def build_model(contents: Contents) -> tuple[Model, list[str]]:
    """The model in contents that `model_kind` knows, and remarks on what the file did not hold."""
    kind = model_kind(contents)
    if kind == "mien":
        return model_file.read_model(contents.path), []
    return _nvidia_model(contents) if kind == "nvidia" else _rosinality_model(contents)


def not_a_model(contents: Contents) -> str:
    """What readable contents are when they are not the model that was asked for."""
    tree = contents.tree
    if encoders.find_identity(tree) is not None:
        return "is an identity network (ArcFace), not a generator"
    if encoders.find_encoder(tree) is not None:
        return "is an encoder without a generator, which --encoder takes"
    if isinstance(tree, Record):
        return f"is a whole pickled network ({shown(tree.type_name)}), not weights: save its state_dict() instead"
    if isinstance(tree, dict):
        names = ", ".join(shown(key, 30) for key in list(tree)[:4])
        if any(str(key).startswith("generator.progression") for key in tree.get("g_running", ())):
            return "is a StyleGAN1 model, which mien does not support: use a StyleGAN2 model"
        return f"holds {names or 'nothing'}, which is no model that mien knows"
    return "holds no weights that mien knows"


def load_encoder(path: str | Path, *, kind: str | None = None) -> LoadedEncoder:
    """Open an encoder of pSp, e4e or ReStyle, on the CPU, in float32 and evaluation mode.

    `kind` (`psp`, `e4e`, `restyle-psp`, `restyle-e4e`) is needed for a bare state dict, which cannot tell; where the file says
    what it is, `kind` must agree. Raises `CheckpointError` with one sentence for anything else.
    """
    contents = open_contents(located(Path(path)))
    parts = encoders.find_encoder(contents.tree)
    if parts is None:
        raise CheckpointError(f"{path} is no encoder: it has no rows of pSp, e4e or ReStyle (see `mien inspect {path}`).")
    what = f"the encoder in {path}"
    return encoders.build_encoder(parts, encoders.kind_of(parts, what, kind), what)


def load_identity(path: str | Path) -> ArcFace:
    """Open an ArcFace IR-SE50 identity network, on the CPU, in float32 and evaluation mode."""
    tensors = encoders.find_identity(open_contents(Path(path)).tree)
    if tensors is None:
        raise CheckpointError(f"{path} is no ArcFace IR-SE50 network (see `mien inspect {path}`).")
    return encoders.build_identity(tensors, f"the identity network in {path}")


def _finished(model: Model, contents: Contents, source: str, remarks: list[str]) -> tuple[Model, list[str]]:
    digest = model_file.generator_digest(model.generator)
    sentence = f"read from {contents.path.name} ({source}{''.join(f'; {remark}' for remark in remarks)})"
    model.provenance = Provenance(name=contents.path.stem, source=sentence, digest=digest)
    return model, remarks


def _rosinality_model(contents: Contents) -> tuple[Model, list[str]]:
    parts = rosinality.find_parts(contents.tree)
    assert parts is not None
    path = contents.path
    if parts.generator is None:
        raise CheckpointError(f"{path} holds a discriminator but no generator: use the file that has g_ema or g.")
    generator, remarks = rosinality.build_generator(parts.generator, parts.latent_avg, f"the generator in {path}")
    discriminator = None
    if parts.discriminator is not None:
        discriminator = rosinality.build_discriminator(parts.discriminator, f"the discriminator in {path}")
    return _finished(Model(generator, discriminator), contents, f"PyTorch StyleGAN2, {parts.generator_key}", remarks)


def _nvidia_model(contents: Contents) -> tuple[Model, list[str]]:
    path = contents.path
    generator, discriminator = nvidia.networks(contents.tree)
    if generator is None:
        raise CheckpointError(f"{path} holds a discriminator but no generator: use the file that has G_ema.")
    model = Model(nvidia.build_generator(generator, f"the generator in {path}"))
    if discriminator is not None:
        model.discriminator = nvidia.build_discriminator(discriminator, f"the discriminator in {path}")
    return _finished(model, contents, "NVIDIA StyleGAN2-ADA", [])
