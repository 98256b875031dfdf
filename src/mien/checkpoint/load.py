"""Opens weights of every readable format by content; what is loaded is known to make sense."""

from __future__ import annotations

from pathlib import Path

from mien.checkpoint.foreign import encoders
from mien.checkpoint.foreign.encoders import LoadedEncoder
from mien.checkpoint.foreign.sniff import Contents, open_contents
from mien.checkpoint.formats import MODEL_KINDS, formats_of, not_known
from mien.checkpoint.hub.published import located
from mien.checkpoint.soundness import check_networks
from mien.errors import CheckpointError, InputError, ModelMismatchError
from mien.models.embedders import ArcFace
from mien.models.generator import Generator
from mien.models.irse_encoder import IrseEncoder
from mien.models.model import Model
from mien.shipped import shipped


def load_model(path: str | Path, *, kind: str | None = None) -> Model:
    """Open a model, on the CPU, in float32 and evaluation mode; what the file is, its content tells, never its name.

    Reads our own files, StyleGAN2 `.pt` files in the common PyTorch naming (also the decoder of a pSp, e4e or ReStyle
    checkpoint) and NVIDIA's StyleGAN2-ADA pickles; nothing in a file is executed. `path` may be a name of
    `list_models`. `kind` insists on one of `mien`, `rosinality`, `nvidia`. Raises
    `CheckpointError` with one sentence for anything else, for numbers that are not finite, and for a discriminator of another
    size than the generator.
    """
    path = shipped(path, "models") or located(Path(path))
    if kind is not None and kind not in MODEL_KINDS:
        raise InputError(f"There is no kind of model {kind!r}: choose one of {', '.join(MODEL_KINDS)}.")
    contents = open_contents(path)
    found = formats_of(contents, "model")
    if not found:
        raise CheckpointError(f"{path} {_not_a_model(contents)}.")
    if kind not in (None, found[0].name):
        raise CheckpointError(f"{path} is of kind {found[0].name}, not {kind}: change or leave out `kind`.")
    built = found[0].build(contents, found[0])
    check_networks(built.networks, path)
    assert isinstance(built.value, Model)
    return built.value


def _not_a_model(contents: Contents) -> str:
    for form in formats_of(contents):
        if form.role == "identity":
            return "is an identity network (ArcFace), not a generator"
        return "is an encoder without a generator, which `encoder` takes"
    return not_known(contents)


def load_encoder(path: str | Path, *, kind: str | None = None) -> LoadedEncoder:
    """Open an encoder of pSp, e4e or ReStyle, on the CPU, in float32 and evaluation mode.

    `kind` (`psp`, `e4e`, `restyle-psp`, `restyle-e4e`) is needed for a bare state dict, which cannot tell; where the file says
    what it is, `kind` must agree. Raises `CheckpointError` with one sentence for anything else.
    """
    path = located(Path(path))
    parts = encoders.find_encoder(open_contents(path).tree)
    if parts is None:
        raise CheckpointError(f"{path} is not an encoder: it has no rows of pSp, e4e or ReStyle (see `mien inspect {path}`).")
    what = f"the encoder in {path}"
    loaded = encoders.build_encoder(parts, encoders.kind_of(parts, what, kind), what)
    check_networks({"encoder": loaded.encoder}, path)
    return loaded


def load_encoder_for(generator: Generator, path: str | Path) -> IrseEncoder:
    """Open an encoder as `load_encoder` does; raises `ModelMismatchError` where its codes are not the generator's."""
    encoder = load_encoder(path).encoder
    given, wanted = (encoder.config.num_ws, encoder.config.w_dim), (generator.num_ws, generator.config.w_dim)
    if given != wanted:
        raise ModelMismatchError(
            f"The encoder {path} answers with {given[0]} rows of {given[1]} numbers, and the model takes {wanted[0]} of "
            f"{wanted[1]}: take an encoder that was trained for this model."
        )
    return encoder


def load_identity(path: str | Path) -> ArcFace:
    """Open an ArcFace IR-SE50 identity network, on the CPU, in float32 and evaluation mode."""
    path = Path(path)
    tensors = encoders.find_identity(open_contents(path).tree)
    if tensors is None:
        raise CheckpointError(f"{path} is not an ArcFace IR-SE50 network (see `mien inspect {path}`).")
    network = encoders.build_identity(tensors, f"the identity network in {path}")
    check_networks({"identity": network}, path)
    return network
