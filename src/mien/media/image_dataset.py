"""Images to train on: a folder (nested) or a zip, decoded once at the training size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mien.errors import InputError, printable
from mien.media.collection import image_names, read_images
from mien.media.eight_bit import from_uint8
from mien.media.image_data import ImageData, Pixels, from_tensor
from mien.media.images import SUFFIXES, decode_image
from mien.media.pixel_store import PixelStore

_AT_ONCE = 64


@dataclass
class Dataset:
    """Decoded images, and how often each is drawn."""

    pixels: Tensor
    """[count, 3, R, R] uint8; may be a memory-mapped file."""
    weights: Tensor
    """[count] relative probabilities, float32, on the CPU."""
    names: list[str]
    """Where each image came from, relative to the folder or zip."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Files that could not be used, and why."""
    cropped: int = 0
    """Images that were not square: their middle was taken."""
    enlarged: int = 0
    """Images that were smaller than the training size."""
    in_file: bool = False
    """Whether the pixels lie in a file, because they would take too much memory."""
    cumulative: dict[torch.device, Tensor] = field(default_factory=dict)
    """[count] cumulative probabilities on every device where images were drawn: kept, as CUDA graphs read them."""

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

        `generator` is on the CPU or where the pixels are: then nothing waits for the device. None leaves the batch on the
        device of the pixels.
        """
        place = generator.device
        if place not in self.cumulative:
            shares = self.weights.double() / self.weights.double().sum()
            self.cumulative[place] = shares.cumsum(0).float().to(place)
        chosen = torch.rand(count, generator=generator, device=place)
        index = torch.searchsorted(self.cumulative[place], chosen, right=True).clamp_max(len(self) - 1)
        images = self.pixels[index.to(self.pixels.device)].to(device or self.pixels.device)
        images = from_uint8(images)
        if mirror:
            flip = (torch.rand(count, generator=generator, device=place) < 0.5).to(images.device)
            images = torch.where(flip[:, None, None, None], images.flip(3), images)
        return images

    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 over pixels and weights."""
        total = hashlib.sha256(self.weights.numpy().tobytes())
        total.update(self.pixels.cpu().numpy().data)
        return total.hexdigest()[:16]

    def report(self) -> str:
        """What was read and what was not, for people: one line each."""
        lines = [f"{len(self)} images of {self.pixels.shape[2]} px"]
        if self.cropped:
            lines.append(f"{self.cropped} were not square: the middle was taken")
        if self.enlarged:
            lines.append(f"{self.enlarged} were smaller and were enlarged")
        if self.in_file:
            lines.append(f"{self.pixels.numel() / 1e9:.1f} GB of pixels lie in a file: they would take too much of the memory")
        lines += [f"dropped {printable(name)}: {printable(why, 400)}" for name, why in self.dropped.items()]
        return "\n".join(lines)


def load_dataset(
    path: Path,
    resolution: int,
    *,
    folder_weights: Mapping[str, float] | None = None,
    memory_share: float = 0.5,
    folder: Path | None = None,
) -> Dataset:
    """Read every image below `path`: upright, on white where transparent, the middle square, resized (Lanczos).

    `folder_weights` gives top-level folders another weight than 1. Broken files are left out and listed in `dropped`. Images
    that need more than `memory_share` of the free memory lie in a file without a name in `folder` (None: the system's for
    temporary files); the batches are the same. Raises `InputError` when no image is left, when a weight names a folder that
    is not there, or when neither memory nor disk can hold the images.
    """
    weight_of = dict(folder_weights or {})
    bad = [name for name, weight in weight_of.items() if not 0 <= weight < float("inf")]
    if bad:
        raise InputError(f"The weight of the folder '{bad[0]}' is {weight_of[bad[0]]}: give a number from 0.")
    store = PixelStore(len(image_names(path)), resolution, memory_share=memory_share, folder=folder)
    found = Dataset(torch.empty(0), torch.empty(0), [])
    weights: list[float] = []
    for name, read in _decoded(path, resolution):
        if isinstance(read, str):
            found.dropped[name] = read
            continue
        pixels, (height, width) = read
        found.cropped += height != width
        found.enlarged += min(height, width) < resolution
        store.add(pixels)
        weights.append(weight_of.get(name.split("/")[0], 1.0))
        found.names.append(name)
    _check(path, found, weights, weight_of)
    found.pixels, found.weights, found.in_file = store.pixels(), torch.tensor(weights), store.in_file
    return found


def _decoded(path: Path, resolution: int) -> Iterator[tuple[str, tuple[Pixels, tuple[int, int]] | str]]:
    """Every image's name with its middle square and its own size, or with why it cannot be read; in their order."""

    def decode(item: tuple[str, bytes | str]) -> tuple[str, tuple[Pixels, tuple[int, int]] | str]:
        name, data = item
        if isinstance(data, str):
            return name, data
        try:
            image = decode_image(data, Path(name))
        except InputError as error:
            return name, str(error)
        return name, (middle_square(image, resolution), (image.height, image.width))

    # Decoders let other threads work. A few at a time: a data set does not fit into memory twice.
    with ThreadPoolExecutor() as pool:
        items = read_images(path)
        while few := list(islice(items, _AT_ONCE)):
            yield from pool.map(decode, few)


def middle_square(image: ImageData, resolution: int) -> Pixels:
    """The largest centered square of an image, on white where transparent, resized (Lanczos): [R, R, 3] uint8 sRGB."""
    side = min(image.height, image.width)
    top, left = (image.height - side) // 2, (image.width - side) // 2
    square = replace(image, pixels=image.pixels[top : top + side, left : left + side])
    plain = square.icc is None and square.peak == 255 and square.pixels.shape[2] == 3
    rgb = square.pixels if plain else from_tensor(square.rgb()).pixels
    if side == resolution:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((resolution, resolution), Image.Resampling.LANCZOS, reducing_gap=3.0))


def _check(path: Path, found: Dataset, weights: list[float], weight_of: Mapping[str, float]) -> None:
    if not found.names and found.dropped:
        name, why = next(iter(found.dropped.items()))
        raise InputError(
            f"None of the {len(found.dropped)} images in {path} can be used (first: {name}: {why.rstrip('.')}): give others."
        )
    if not found.names:
        raise InputError(f"{path} holds no images ({', '.join(SUFFIXES)}): give a folder or zip that does.")
    folders = {name.split("/")[0] for name in found.names if "/" in name}
    missing = sorted(weight_of.keys() - folders)
    if missing:
        there = ", ".join(sorted(folders)[:8]) or "none"
        raise InputError(f"{path} has no folder '{missing[0]}' to give a weight to: its folders are {there}.")
    if not sum(weights) > 0:
        raise InputError(f"Every image of {path} has the weight 0: give at least one folder more.")
