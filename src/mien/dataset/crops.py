"""From the bytes of an image to its crops: where its faces are, how large, how sharp. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mien.dataset.config import CropConfig
from mien.dataset.duplicates import perceptual_hash, sharpness
from mien.errors import FaceNotFoundError, InputError
from mien.faces.background import soften_ground
from mien.faces.config import AlignConfig
from mien.faces.locate import align_faces
from mien.media.image_data import ImageData, from_tensor
from mien.media.image_dataset import middle_square
from mien.media.images import decode_image, encode_image

Why = Literal["unreadable", "no face", "too small", "blurred", "same file", "alike"]
"""Why an image, or a face in it, is left out."""

_WRITERS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


@dataclass(frozen=True)
class Crop:
    """One square of an image, encoded, and what is to be known of it."""

    data: bytes
    side: int
    """Pixels of the source that its side covers."""
    sharpness: float
    """See `duplicates.sharpness`."""
    hashes: tuple[str, str] | None
    """Perceptual hash of the crop and of its mirror image in hex; None where it is flat."""


@dataclass(frozen=True)
class Examined:
    """What was found in an image: crops, or the reason why there is none."""

    crops: tuple[Crop, ...] = ()
    why: Why | None = None
    detail: str = ""


def examine(data: bytes, name: str, config: CropConfig) -> Examined:
    """The crops of an image file, the largest face first. Never raises for what is wrong with the image."""
    try:
        image = decode_image(data, Path(name))
    except InputError as error:
        return Examined(why="unreadable", detail=str(error).removeprefix(f"{Path(name)} "))
    if not config.align:
        square = ImageData(middle_square(image, config.resolution))
        return Examined((_crop(square, min(image.height, image.width), config),))
    try:
        found = align_faces(image, AlignConfig(face=config.face), size=config.resolution)
    except FaceNotFoundError:
        return Examined(why="no face", detail="no face was found")
    return Examined(tuple(_crop(from_tensor(face.crop), round(face.frame.side), config) for face in found))


def _crop(square: ImageData, side: int, config: CropConfig) -> Crop:
    pixels = square.pixels
    own, mirrored = perceptual_hash(pixels), perceptual_hash(np.ascontiguousarray(pixels[:, ::-1]))
    hashes = None if own is None or mirrored is None else (own.tobytes().hex(), mirrored.tobytes().hex())
    stored = from_tensor(soften_ground(square.rgb())) if config.blurred_background else square
    return Crop(encode_image(stored, _WRITERS[config.format]), side, round(sharpness(pixels), 4), hashes)
