"""What ships with mien: the embedded model, its parts of the face, the ready styles; and fine-tuned models as styles.

With a fine-tuned model, photos are inverted with its source and rendered with it (Toonify, Pinkney & Adler 2020).
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import torch.nn.functional as F

from mien.checkpoint import native
from mien.checkpoint.hub.published import PUBLISHED, located
from mien.checkpoint.model_file import generator_digest, read_model
from mien.checkpoint.regions_file import Regions
from mien.checkpoint.style_file import StyleFile
from mien.editing.regions import find_regions, mean_face_points
from mien.errors import CheckpointError, InputError, ModelMismatchError
from mien.media.eight_bit import to_uint8
from mien.models.generator import Generator
from mien.models.model import Model
from mien.oneshot.deltas import changes
from mien.training.samples import sample_pictures

DATA = Path(__file__).parent / "data"
EMBEDDED_MODEL = DATA / "faces.safetensors"
REGIONS = DATA / "regions.safetensors"
IDENTITY = DATA / "identity.safetensors"


class Style(StyleFile):
    """A learned style: the mapper from any face to the look of its references. `Stylizer.fit` makes one."""

    @classmethod
    def load(cls, style: str | Path, model: Model | None = None) -> Style:
        """Open a ready style by its name, a style file, or a model that was fine-tuned from `model` (None: the one with mien).

        Raises `InputError` where there is none, and `CheckpointError` for a file that is something else.

        >>> mien.Style.load("ink").name
        'ink'
        """
        return open_style(find_style(style), model)


def list_styles() -> list[str]:
    """Names of the styles that ship with mien.

    >>> mien.list_styles()
    ['comic', 'ink', 'poster', 'toon']
    """
    return list(ready_styles())


def list_models() -> list[str]:
    """Names that `Stylizer.load` and `load_model` take: the model with mien, and those of others that `download_model` gets.

    >>> mien.list_models()[0]
    'faces'
    """
    return [EMBEDDED_MODEL.stem, *(entry.name for entry in PUBLISHED if entry.role == "model")]


def find_model(name: str | Path | None = None) -> Path:
    """The file of a model given by path or by a name of `list_models`; None: the one with mien."""
    if name is None or (str(name).lower() == EMBEDDED_MODEL.stem and not Path(name).exists()):
        return EMBEDDED_MODEL
    lower = Path(str(name).lower())
    return located(Path(name) if Path(name).exists() or str(lower) not in list_models() else lower)


def regions_of(generator: Generator, digest: str) -> Regions:
    """The parts of the face in the model of that digest: those that come with it, or found now, in some seconds."""
    if REGIONS.exists() and (known := Regions.load(REGIONS)).base == digest:
        return known
    return find_regions(generator, digest, mean_face_points(generator))


def ready_styles() -> dict[str, Path]:
    """The styles that ship with mien: {name: file}."""
    return {path.stem: path for path in sorted((DATA / "styles").glob("*.safetensors"))}


def find_style(name: str | Path) -> Path:
    """The file of a style given by path or by the name of a ready one, in capitals or not."""
    path, ready = Path(name), ready_styles()
    if path.exists():
        return path
    if str(name).lower() in ready:
        return ready[str(name).lower()]
    close = get_close_matches(str(name).lower(), ready, 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"There is no style {name}: give a style file, or one of the ready styles ({', '.join(ready) or 'none'}).{meant}"
    )


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
            f"The model {name!r} was fine-tuned from another model ({base}, this one is {digest}): give that one as the model."
        )
    if target.generator.config != source.generator.config:
        raise ModelMismatchError(
            f"The model {name!r} has {target.resolution} px and another shape than the model that photos are inverted with "
            f"({source.resolution} px): give the one that it was fine-tuned from as the model."
        )
    face = F.interpolate(sample_pictures(target.generator, 1, seed=0), (_THUMBNAIL, _THUMBNAIL), mode="area")[0]
    settings = {"model": target.provenance.name, "images_seen": target.provenance.images_seen}
    deltas = changes(source.generator.synthesis, target.generator.synthesis)
    return Style(name, digest, source.resolution, deltas, to_uint8(face), settings)


def open_style(path: Path, source: Model | None = None) -> Style:
    """The style in a file: a style file, or a model that was fine-tuned from `source` (None: the model with mien)."""
    try:
        is_model = native.read_document(path)["kind"] == "model"
    except CheckpointError:
        is_model = False
    if not is_model:
        return Style.read(path)
    return model_style(source or read_model(EMBEDDED_MODEL), read_model(path), path.stem)
