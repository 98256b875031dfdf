"""What ships with mien: the embedded model, its parts of the face, the ready styles; and fine-tuned models as styles.

With a fine-tuned model, photos are inverted with its source and rendered with it (Toonify, Pinkney & Adler 2020).
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias, TypeGuard

import torch
import torch.nn.functional as F
from PIL import Image

from mien.checkpoint import native
from mien.checkpoint.file_info import inspect_file
from mien.checkpoint.foreign.sniff import container_of
from mien.checkpoint.hub.published import PUBLISHED, located
from mien.checkpoint.load import load_model
from mien.checkpoint.model_file import generator_digest, read_model
from mien.checkpoint.regions_file import Regions
from mien.checkpoint.style_file import StyleFile
from mien.editing.regions import find_regions, mean_face_points
from mien.errors import CheckpointError, InputError, ModelMismatchError
from mien.mappers.engines import GRAPH_SUFFIXES, GraphMapper, open_graph
from mien.media.eight_bit import to_uint8
from mien.media.image_input import pil_from_tensor
from mien.media.listing import refuse_image_as_style
from mien.models.generator import Generator
from mien.models.model import Model
from mien.oneshot.deltas import weight_deltas
from mien.shipped import EMBEDDED_MODEL, REGIONS, find_style, ready_styles, shipped
from mien.training.samples import sample_images

__all__ = ["preview", "ready_styles"]


class Style(StyleFile):
    """A learned style, which turns any face into the look of its references. `Stylizer.fit` makes one."""

    @classmethod
    def load(cls, style: str | Path, model: Model | None = None) -> Style:
        """Open a ready style by its name, a style file, or a model that was fine-tuned from `model` (None: the embedded one).

        Raises `InputError` where there is none, and `CheckpointError` for any other file.

        >>> mien.Style.load("ink").name
        'ink'
        """
        return open_style(find_style(style), model)


class GraphStyle(Style):
    """A style that `mien.export` wrote as a graph: `Stylizer.apply` draws it, and it has no weights to do more with."""

    graph: GraphMapper
    """The graph, for the engine of its file until another one is asked for."""

    def check_base(self, digest: str) -> None:
        """Raise `InputError`: a graph needs no base model, and lends itself to nothing that does."""
        raise InputError(f"{self.name!r} is an exported graph, which `apply` alone draws: give the style itself.")


StyleLike: TypeAlias = Style | str | Path
"""A style, the name of a ready one, or a file."""


def is_style(given: object) -> TypeGuard[StyleLike]:
    """Whether this can only be a style: one that was learned, the name of a ready one, or the name of a style file."""
    if isinstance(given, Style):
        return True
    return isinstance(given, (str, Path)) and (Path(given).suffix == ".safetensors" or shipped(given, "styles") is not None)


def list_styles() -> list[str]:
    """Names of the styles that ship with mien.

    >>> mien.list_styles()
    ['comic', 'ink', 'poster', 'toon']
    """
    return list(ready_styles())


def list_models() -> list[str]:
    """Names that `Stylizer.load` and `load_model` take: the embedded model, and others that `download_model` gets.

    >>> mien.list_models()[0]
    'faces'
    """
    return [EMBEDDED_MODEL.stem, *(entry.name for entry in PUBLISHED if entry.role == "model")]


def find_model(name: str | Path | None = None) -> Path:
    """The file of a model given by path or by a name of `list_models`; None: the embedded one."""
    if name is None:
        return EMBEDDED_MODEL
    lower = Path(str(name).lower())
    return shipped(name, "models") or located(lower if str(lower) in list_models() and not Path(name).is_file() else Path(name))


def regions_of(generator: Generator, digest: str) -> Regions:
    """The parts of the face in the model of that digest: those that come with it, or found now, in some seconds."""
    if REGIONS.exists() and (known := Regions.load(REGIONS)).base == digest:
        return known
    return find_regions(generator, digest, mean_face_points(generator))


_THUMBNAIL = 96


def model_style(source: Model, target: Model, name: str) -> Style:
    """What fine-tuning made of `source`'s synthesis network to get `target`'s, as a style of `source`.

    The mapping network does not matter: codes come from photos. Raises `ModelMismatchError` where `target` names another source
    or has another shape.
    """
    digest = source.provenance.digest or generator_digest(source.generator)
    base = target.provenance.base
    if base and base != digest:
        raise ModelMismatchError(
            f"The model {name!r} was fine-tuned from another model ({base}, this one is {digest}): use that one as the model."
        )
    if target.generator.config != source.generator.config:
        raise ModelMismatchError(
            f"The model {name!r} has {target.resolution} px and another shape than the model that photos are inverted with "
            f"({source.resolution} px): use the one that it was fine-tuned from."
        )
    face = F.interpolate(sample_images(target.generator, 1, seed=0), (_THUMBNAIL, _THUMBNAIL), mode="area")[0]
    settings = {"model": target.provenance.name, "images_seen": target.provenance.images_seen}
    deltas = weight_deltas(source.generator.synthesis, target.generator.synthesis)
    return Style(name, digest, source.resolution, deltas, to_uint8(face), settings)


def open_style(path: Path, source: Model | None = None) -> Style:
    """The style in a file: a style file, an exported graph, or a model fine-tuned from `source` (None: the embedded one)."""
    refuse_image_as_style(path)
    if path.suffix.lower() in GRAPH_SUFFIXES:
        graph = open_graph(path)
        style = GraphStyle(graph.name, graph.base, graph.size, {}, torch.zeros(3, _THUMBNAIL, _THUMBNAIL, dtype=torch.uint8))
        style.graph = graph
        return style
    # Our own files are the common case, and their errors are the ones to tell; other containers may hold a fine-tuned model.
    if path.suffix.lower() == ".safetensors" or container_of(path) == "mien":
        try:
            is_model = native.read_document(path)["kind"] == "model"
        except CheckpointError:
            is_model = False
        if not is_model:
            return Style.read(path)
    return model_style(source or read_model(EMBEDDED_MODEL), load_model(path), path.stem)


_FACES, _PREVIEW = 4, 256


def preview(path: str | Path) -> Image.Image:
    """A preview of a style or model file: the references of a style, or four random faces of a model, always the same.

    Raises `InputError` for other files, such as encoders, and `CheckpointError` for anything else.

    >>> mien.styles.preview(mien.styles.ready_styles()["ink"]).size
    (96, 96)
    """
    path = Path(path)
    try:
        kind = native.read_document(path)["kind"]
    except CheckpointError:
        kind = inspect_file(path).kind
    if kind == "style":
        return Image.fromarray(StyleFile.read(path).thumbnail.permute(1, 2, 0).contiguous().numpy())
    if kind not in ("model", "rosinality", "nvidia"):
        raise InputError(f"{path} is a file of kind {kind}, which draws nothing: there is no preview of it.")
    faces = sample_images(load_model(path).generator, _FACES, seed=0)
    side = min(_PREVIEW, faces.shape[-1])
    small = F.interpolate(faces, (side, side), mode="area")
    return pil_from_tensor(torch.cat(list(small), dim=2))
