"""Writes models in another format than they came in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mien.checkpoint import model_file
from mien.checkpoint.foreign import rosinality
from mien.checkpoint.load import load_model
from mien.errors import InputError
from mien.models.model import Model

SaveFormat = Literal["mien", "rosinality"]
_BY_SUFFIX: dict[str, SaveFormat] = {".safetensors": "mien", ".pt": "rosinality", ".pth": "rosinality"}


@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote."""

    target: Path
    format: SaveFormat
    model: Model
    remarks: tuple[str, ...]
    """What the target's format cannot say, one clause each."""


def save_model(
    path: str | Path, model: Model, *, format: str | None = None, half: bool = False, overwrite: bool = False
) -> tuple[str, ...]:
    """Write a model; returns remarks on what the format cannot say (none for our own).

    `format` is `mien` (safetensors) or `rosinality` (`.pt` for the tools of the common PyTorch port); None goes by the suffix.
    `half` stores float16. An existing file is kept unless `overwrite`. Raises `InputError` for a bad name or format.
    """
    path = Path(path)
    chosen = save_format(path, format)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of the file to write.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")
    if chosen == "rosinality":
        return tuple(rosinality.write(path, model, half=half))
    model_file.write_model(path, model, half=half)
    return ()


def save_format(path: Path, format: str | None = None) -> SaveFormat:
    """The format to write `path` in: as named, or by its suffix. Raises `InputError` where neither tells."""
    for known in get_args(SaveFormat):
        if format == known:
            return known  # type: ignore[no-any-return]
    if format is not None:
        raise InputError(f"There is no format {format!r} to write: choose one of {', '.join(get_args(SaveFormat))}.")
    if path.suffix.lower() not in _BY_SUFFIX:
        raise InputError(
            f"{path.name} does not say which format to write: use a name in .safetensors or .pt, or say which with `to`."
        )
    return _BY_SUFFIX[path.suffix.lower()]


def convert(
    source: str | Path,
    target: str | Path,
    *,
    kind: str | None = None,
    format: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Read the model in `source` (any kind that `load_model` reads) and write it to `target` (see `save_model`)."""
    source, target = Path(source), Path(target)
    chosen = save_format(target, format)
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the file to convert: give the result another name.")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists already: choose another name or allow to `overwrite` it.")
    model = load_model(source, kind=kind)
    remarks = save_model(target, model, format=chosen, half=half, overwrite=overwrite)
    return Conversion(target, chosen, model, remarks)
