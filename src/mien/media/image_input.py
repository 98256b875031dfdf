"""Anything that can be an image, as `ImageData`: PIL images, arrays, tensors, bytes, open files, paths; and PIL images out."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.media.image_data import ImageData, from_tensor
from mien.media.images import decode_image
from mien.media.storage import place, read_photo

ImageLike: TypeAlias = Union[ImageData, Image.Image, NDArray[Any], Tensor, bytes, BinaryIO, str, "os.PathLike[str]"]
TAKEN = """A PIL image; an array [H, W] or [H, W, C] with C from 1 to 4, of uint8, uint16 or floats in [0, 1]; a tensor
[3, H, W] in [-1, 1]; the bytes of an image file, or such a file open for reading; the path of one."""
"""What an image may be, for people."""

_UNNAMED = Path("the image")
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")


def as_image(image: ImageLike) -> ImageData:
    """The image as data: upright, in its own depth. Raises `InputError` with one sentence for what is not one.

    >>> as_image(np.zeros((4, 6), np.uint8)).width
    6
    """
    if isinstance(image, ImageData):
        return image
    if isinstance(image, (str, os.PathLike)) or hasattr(image, "fs"):
        return read_photo(place(image))
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return ImageData(_pixels(image))
    if isinstance(image, Tensor):
        return _from_tensor(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), _UNNAMED)
    if hasattr(image, "read"):
        return _from_file(image)
    raise InputError(f"A {type(image).__name__} is not an image, which is: {TAKEN[0].lower()}{TAKEN[1:]}")


def as_images(images: ImageLike | Sequence[ImageLike]) -> list[ImageData]:
    """One image, or a list of them, as images."""
    several: Any = images
    return [as_image(image) for image in (several if isinstance(images, (list, tuple)) else [several])]


def to_pil(data: ImageData) -> Image.Image:
    """The image as a PIL image of 8 bits per channel, with its color profile: modes L, LA, RGB and RGBA."""
    pixels = data.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if data.icc is not None:
        image.info["icc_profile"] = data.icc
    return image


def pil_from_tensor(rgb: Tensor) -> Image.Image:
    """An RGB image of a tensor [3, H, W] in [-1, 1]; values beyond are clipped."""
    return to_pil(from_tensor(rgb))


def _from_pil(image: Image.Image) -> ImageData:
    # As if it were saved without loss and read: what orientation, palettes and profiles mean is said in one place.
    icc, stream = image.info.get("icc_profile"), io.BytesIO()
    path = Path(str(getattr(image, "filename", "") or _UNNAMED))
    try:
        if image.mode in _PNG_MODES:
            image.save(stream, "PNG", compress_level=0, icc_profile=icc, exif=image.getexif())
        elif image.mode in ("CMYK", "F"):
            image.save(stream, "TIFF", icc_profile=icc, exif=image.getexif())
        else:
            image.convert("RGB").save(stream, "PNG", compress_level=0, exif=image.getexif())
    except OSError as error:  # PIL reads a file's pixels when they are asked for
        raise InputError(f"{path} is damaged or cut off ({error}): get the file again.") from error
    return decode_image(stream.getvalue(), path)


def _from_file(file: Any) -> ImageData:
    content = file.read()
    if not isinstance(content, bytes):
        raise InputError("The file is open as text: open it with mode 'rb'.")
    name = getattr(file, "name", None)
    return decode_image(content, Path(name) if isinstance(name, str) else _UNNAMED)


def _pixels(array: NDArray[Any]) -> NDArray[Any]:
    """An array as pixels [H, W, C], uint8 or uint16."""
    shape = list(array.shape)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or not array.size:
        swapped = len(shape) == 3 and 1 <= shape[0] <= 4
        hint = "channels come last, so transpose it with array.transpose(1, 2, 0)" if swapped else "give one image at a time"
        raise InputError(f"An image is an array [H, W] or [H, W, C] with C from 1 to 4, got {shape}: {hint}.")
    if array.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array).astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"An image is an array of uint8, uint16 or floats in [0, 1], got {array.dtype}: convert it.")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        low, high = float(array.min()), float(array.max())
        raise InputError(f"An image of floats has values from 0 to 1, got {low:g} to {high:g}: scale it or take uint8.")
    rounded: NDArray[Any] = np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    return rounded


def _from_tensor(rgb: Tensor) -> ImageData:
    if rgb.ndim != 3 or rgb.shape[0] != 3 or not rgb.is_floating_point():
        raise InputError(
            f"A tensor of an image is [3, H, W], floating-point, in [-1, 1], got {rgb.dtype} {list(rgb.shape)}: convert it, or "
            "give an array [H, W, C]."
        )
    if not bool(rgb.isfinite().all()) or float(rgb.min()) < -1.001 or float(rgb.max()) > 1.001:
        low, high = float(rgb.min()), float(rgb.max())
        raise InputError(f"A tensor of an image has values from -1 to 1, got {low:g} to {high:g}: scale it.")
    return from_tensor(rgb)
