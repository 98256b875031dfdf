"""Pictures to train on: a folder (nested) or a zip, decoded once into memory at the training size."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mien.errors import InputError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass
class Dataset:
    """Decoded pictures, and how often each is drawn."""

    pixels: Tensor
    """[count, 3, R, R] uint8."""
    weights: Tensor
    """[count] relative probabilities."""
    names: list[str]
    """Where each picture came from, relative to the folder or zip."""

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, count: int, generator: torch.Generator, *, mirror: bool = True) -> Tensor:
        """[count, 3, R, R] float32 in [-1, 1], drawn by weight with replacement; `mirror` flips each with probability 1/2."""
        index = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        pictures = self.pixels[index].float() / 127.5 - 1
        if mirror:
            flip = torch.rand(count, generator=generator) < 0.5
            pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
        return pictures


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _SUFFIXES:
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if PurePosixPath(name).suffix.lower() in _SUFFIXES:
                    yield name, archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is neither a folder nor a readable zip ({error}): give a folder or a zip of pictures.") from error


def load_dataset(path: Path, resolution: int, *, folder_weights: Mapping[str, float] | None = None) -> Dataset:
    """Read every picture below `path`, resized to `resolution` (Lanczos, squares expected).

    `folder_weights` gives top-level folders another weight than 1. Raises `InputError` when there is no picture.
    """
    pixels, weights, names = [], [], []
    for name, data in _files(path):
        try:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
        except (UnidentifiedImageError, OSError):
            continue
        if picture.size != (resolution, resolution):
            picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
        pixels.append(torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1))
        weights.append((folder_weights or {}).get(name.split("/")[0], 1.0))
        names.append(name)
    if not names:
        raise InputError(f"{path} holds no pictures ({', '.join(sorted(_SUFFIXES))}): give a folder or zip that does.")
    return Dataset(torch.stack(pixels), torch.tensor(weights), names)
