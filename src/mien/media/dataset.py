"""Pictures to train on: a folder (nested) or a zip, decoded once into memory at the training size."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.media.images import SUFFIXES, decode_picture
from mien.media.picture import Picture, Pixels, from_tensor

# A member of a zip that claims more than this is no training picture.
_MAX_BYTES = 200_000_000


@dataclass
class Dataset:
    """Decoded pictures, and how often each is drawn."""

    pixels: Tensor
    """[count, 3, R, R] uint8."""
    weights: Tensor
    """[count] relative probabilities, float32, on the CPU."""
    names: list[str]
    """Where each picture came from, relative to the folder or zip."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Files that could not be used, and why."""
    cropped: int = 0
    """Pictures that were not square: their middle was taken."""
    enlarged: int = 0
    """Pictures that were smaller than the training size."""

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device) -> Dataset:
        """The same with the pixels on `device`, where at most a quarter of the free memory of a GPU is used; else unchanged."""
        if device.type == "cuda" and self.pixels.numel() < torch.cuda.mem_get_info(device)[0] / 4:
            self.pixels = self.pixels.to(device)
        return self

    def batch(
        self, count: int, generator: torch.Generator, *, mirror: bool = True, device: torch.device | None = None
    ) -> Tensor:
        """[count, 3, R, R] float32 in [-1, 1], drawn by weight with replacement; `mirror` flips each with probability 1/2.

        `generator` is on the CPU. None leaves the batch on the device of the pixels.
        """
        index = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        pictures = self.pixels[index.to(self.pixels.device, non_blocking=True)].to(device or self.pixels.device)
        pictures = pictures.float() / 127.5 - 1
        if mirror:
            flip = (torch.rand(count, generator=generator) < 0.5).to(pictures.device, non_blocking=True)
            pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
        return pictures

    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 over pixels and weights."""
        total = hashlib.sha256(self.weights.numpy().tobytes())
        total.update(self.pixels.cpu().numpy().data)
        return total.hexdigest()[:16]

    def report(self) -> str:
        """What was read and what was not, for people: one line each."""
        lines = [f"{len(self)} pictures of {self.pixels.shape[2]} px"]
        if self.cropped:
            lines.append(f"{self.cropped} were not square: the middle was taken")
        if self.enlarged:
            lines.append(f"{self.enlarged} were smaller and were enlarged")
        lines += [f"dropped {name}: {why}" for name, why in self.dropped.items()]
        return "\n".join(lines)


def _files(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """Names, and contents or the reason why there are none."""
    if not path.exists():
        raise InputError(f"There is no {path}: give a folder or a zip of pictures.")
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if _is_picture(name) and file.is_file():
                try:
                    yield name, file.read_bytes()
                except OSError as error:
                    yield name, f"it cannot be read ({error.strerror})"
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in sorted(archive.infolist(), key=lambda e: e.filename):
                if _is_picture(entry.filename) and not entry.is_dir():
                    yield entry.filename, _member(archive, entry)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{path} is neither a folder nor a readable zip ({error}): give a folder or a zip of pictures."
        ) from error


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | str:
    if entry.file_size > _MAX_BYTES:
        return f"it claims {entry.file_size} bytes"
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError) as error:
        return f"it cannot be unpacked ({str(error)[:80]})"


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def load_dataset(path: Path, resolution: int, *, folder_weights: Mapping[str, float] | None = None) -> Dataset:
    """Read every picture below `path`: upright, on white where transparent, the middle square, resized (Lanczos).

    `folder_weights` gives top-level folders another weight than 1. Broken files are left out and listed in `dropped`.
    Raises `InputError` when no picture is left, or a weight names a folder that is not there.
    """
    weight_of = dict(folder_weights or {})
    bad = [name for name, weight in weight_of.items() if not 0 <= weight < float("inf")]
    if bad:
        raise InputError(f"The weight of the folder '{bad[0]}' is {weight_of[bad[0]]}: give a number from 0.")
    pixels: list[Tensor] = []
    found = Dataset(torch.empty(0), torch.empty(0), [])
    weights: list[float] = []
    for name, data in _files(path):
        if isinstance(data, str):
            found.dropped[name] = data
            continue
        try:
            rgb = _rgb(decode_picture(data, Path(name)))
        except InputError as error:
            found.dropped[name] = str(error)
            continue
        height, width = rgb.shape[:2]
        side = min(height, width)
        found.cropped += height != width
        found.enlarged += side < resolution
        top, left = (height - side) // 2, (width - side) // 2
        pixels.append(_resized(rgb[top : top + side, left : left + side], resolution))
        weights.append(weight_of.get(name.split("/")[0], 1.0))
        found.names.append(name)
    _check(path, found, weights, weight_of)
    found.pixels, found.weights = torch.stack(pixels), torch.tensor(weights)
    return found


def _rgb(picture: Picture) -> Pixels:
    """[H, W, 3] uint8 sRGB."""
    plain = picture.icc is None and picture.peak == 255 and picture.pixels.shape[2] == 3
    return picture.pixels if plain else from_tensor(picture.rgb()).pixels


def _resized(rgb: Pixels, resolution: int) -> Tensor:
    if len(rgb) != resolution:
        rgb = np.asarray(Image.fromarray(rgb).resize((resolution, resolution), Image.Resampling.LANCZOS, reducing_gap=3.0))
    # numpy, not torch: waking torch's threads for every picture would take longer than the copy.
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


def _check(path: Path, found: Dataset, weights: list[float], weight_of: Mapping[str, float]) -> None:
    if not found.names and found.dropped:
        name, why = next(iter(found.dropped.items()))
        raise InputError(
            f"None of the {len(found.dropped)} pictures in {path} can be used (first: {name}: {why.rstrip('.')}): give others."
        )
    if not found.names:
        raise InputError(f"{path} holds no pictures ({', '.join(SUFFIXES)}): give a folder or zip that does.")
    folders = {name.split("/")[0] for name in found.names if "/" in name}
    missing = sorted(weight_of.keys() - folders)
    if missing:
        there = ", ".join(sorted(folders)[:8]) or "none"
        raise InputError(f"{path} has no folder '{missing[0]}' to give a weight to: its folders are {there}.")
    if not sum(weights) > 0:
        raise InputError(f"Every picture of {path} has the weight 0: give at least one folder more.")
