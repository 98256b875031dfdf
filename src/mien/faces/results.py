"""Aligned and stylized faces, and the photo that they belong to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image
from torch import Tensor

from mien.errors import MienWarning
from mien.faces.align import CropFrame
from mien.faces.head_mask import own_head
from mien.media.beside import beside
from mien.media.image_data import ImageData
from mien.media.image_input import pil_from_tensor, to_pil
from mien.media.images import write_image

# An image enlarged more than this is visibly soft: say so.
_SOFT_SCALE = 1.5
_FEW_PIXELS = 0.375  # of the side that the model sees: a crop of less says little of the person
_DARK, _LIGHTER = 45.0, 15.0  # L*: skin is dark below the one, and drawn much lighter by more than the other
_HALF_FACE = 0.85  # share of brows to chin that lies inside the photo


@dataclass(frozen=True)
class AlignedFace:
    """A face that was found in a photo, cut out as FFHQ does."""

    frame: CropFrame
    """Where it sits in the photo: center, side and angle of a square."""
    crop: Tensor
    """The aligned face, [3, size, size] in [-1, 1]."""
    valid: Tensor
    """How much of each pixel lies inside the photo, [1, size, size] in [0, 1]; the rest is filled in."""

    @cached_property
    def head(self) -> Tensor:
        """Where head, hair and neck are in the crop, [1, size, size] in [0, 1]."""
        return own_head(self.crop)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the square around the head, in pixels of the photo: what `PIL.Image.crop` takes."""
        return _box(self.frame)

    @property
    def image(self) -> Image.Image:
        """The aligned face as a PIL image."""
        return pil_from_tensor(self.crop)


@dataclass(frozen=True, eq=False)
class AlignedPhoto:
    """A photo in which the faces have been found: it can be given wherever a photo is, and is not searched again."""

    image_data: ImageData
    faces: list[AlignedFace]


@dataclass(frozen=True)
class StylizedFace:
    """A face before and after: images are [3, R, R] in [-1, 1]."""

    frame: CropFrame
    """Where the face sits in the photo: center, side and angle of a square."""
    crop: Tensor
    """The aligned face as the model saw it."""
    head: Tensor
    """Where head, hair and neck are in the crop, [1, R, R] in [0, 1]."""
    stylized: Tensor
    """The same face in the style."""
    scale: float
    """Photo pixels per model pixel: above 1 the face was enlarged to fit the photo."""
    draw_inversion: Callable[[], Tensor] = field(repr=False)

    @cached_property
    def inversion(self) -> Tensor:
        """The base model's rendering of it, without a style; drawn on first use."""
        return self.draw_inversion()

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the square around the head, in pixels of the photo: what `PIL.Image.crop` takes."""
        return _box(self.frame)

    @property
    def image(self) -> Image.Image:
        """The face in the style as a PIL image."""
        return pil_from_tensor(self.stylized)


@dataclass(repr=False)
class Result:
    """A photo with its faces redrawn."""

    image_data: ImageData
    """The photo in its own depth, with its color profile."""
    faces: list[StylizedFace]
    """The largest first."""
    notes: list[str] = field(default_factory=list)
    """Notes on this image, a sentence each; they are also issued as warnings (`MienWarning`)."""
    original: ImageData | None = None
    """The photo as it was; for a crop, the aligned face."""

    def __repr__(self) -> str:
        faces = "1 face" if len(self.faces) == 1 else f"{len(self.faces)} faces"
        return f"Result({self.image_data.width} x {self.image_data.height}, {faces})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The photo of 8 bits, [H, W, 3] or with alpha [H, W, 4]: what `numpy.asarray` takes."""
        return np.asarray(self.image, dtype=dtype)

    def compared(self) -> ImageData:
        """Before and after side by side."""
        return self.image_data if self.original is None else beside(self.original, self.image_data)

    @property
    def image(self) -> Image.Image:
        """The photo as a PIL image of 8 bits."""
        return to_pil(self.image_data)

    @property
    def images(self) -> list[Image.Image]:
        """The same in a list, as pipelines of diffusers return it."""
        return [self.image]

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = 95) -> Path:
        """Write the photo as .png, .jpg, .webp or .tif, in its own depth where the format can; returns the path.

        An existing file is kept unless `overwrite`. `quality` (1 to 100) is for .jpg and .webp. Raises `InputError`.
        """
        return write_image(path, self.image_data, overwrite=overwrite, quality=quality)


def note_softness(result: Result, face: StylizedFace, factor: float, *, missing: str = "") -> None:
    """Note it where a face is visibly soft: enlarged much, and not drawn sharply by an upscaler that takes it `factor` times.

    `missing` says why there is no upscaler, where one was wanted.
    """
    scale = face.scale / factor
    if scale > _SOFT_SCALE:
        drawn_at = round(face.stylized.shape[-1] * factor)
        text = f"A face of {face.frame.side:.0f} px was drawn at {drawn_at} px and enlarged {scale:.1f} times"
        text = f"{text}; {missing}." if missing else f"{text}."
        _note(result, text)


def note_little(result: Result, face: AlignedFace) -> None:
    """Note it where there is little of a face to go by: few pixels, or half of it outside the photo."""
    side = face.frame.side
    if side < _FEW_PIXELS * face.crop.shape[-1]:
        _note(result, f"A face of about {side:.0f} px with its hair is drawn from few pixels: use a larger image of it.")
    height, width = face.valid.shape[-2:]
    inner = face.valid[..., height // 4 : height * 7 // 8, width // 4 : width * 3 // 4]
    if float(inner.mean()) < _HALF_FACE:
        _note(
            result, "A face lies partly outside the photo, and what is beyond its border is made up: use a photo of all of it."
        )


def note_lighter_skin(result: Result, before: float, after: float) -> None:
    """Note it where dark skin is drawn much lighter: `before` and `after` are L* of the skin, 0 to 100."""
    if before < _DARK and after - before > _LIGHTER:
        text = f"This style draws dark skin much lighter (L* {before:.0f} becomes {after:.0f})"
        _note(result, f"{text}: learn it with `color` photo to keep the person's own.")


def _note(result: Result, text: str) -> None:
    result.notes.append(text)
    warnings.warn(f"{result.image_data.path}: {text}" if result.image_data.path else text, MienWarning, stacklevel=4)


def _box(frame: CropFrame) -> tuple[int, int, int, int]:
    corners = frame.corners()
    (left, top), (right, bottom) = corners.amin(dim=0).round().tolist(), corners.amax(dim=0).round().tolist()
    return int(left), int(top), int(right), int(bottom)
