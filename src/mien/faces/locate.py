"""Which squares of an image are used: detected faces, or what the user says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mien.errors import FaceNotFoundError, InputError, MienError
from mien.faces.align import CropFrame, ffhq_frame, frame_from_box, whole_frame
from mien.faces.config import AlignConfig
from mien.faces.crop_reader import CropReader
from mien.faces.detect import choose, find_faces, too_small
from mien.faces.results import AlignedFace
from mien.media.image_input import ImageLike, as_image

_LARGEST = 20  # sides of a crop by hand, in units of the image's longer side


def locate(rgb: Tensor, config: AlignConfig, *, name: str = "the image") -> list[CropFrame]:
    """The square crops of an image [3, H, W] to process; never empty.

    Raises `FaceNotFoundError` (with what to do) when there is no face.
    """
    height, width = rgb.shape[1:]
    return _by_hand(width, height, config, name) or _found(rgb, config, name)


def align_faces(photo: ImageLike, align: AlignConfig | None = None, *, size: int = 256) -> list[AlignedFace]:
    """Find the faces of a photo and cut each out as FFHQ does, `size` pixels wide; the largest first.

    `align` says which faces, or where they are; None takes all. Of a large photo no copy of full size is made: so this needs
    little more than the photo's own memory. Raises `FaceNotFoundError` where there is none.

    >>> mien.align_faces("me.jpg")[0].image.size
    (256, 256)
    """
    image, align = as_image(photo), align or AlignConfig()
    name = str(image.path or "the image")
    reader = CropReader(image)
    frames = _by_hand(image.width, image.height, align, name)
    frames = frames or [reader.enlarged(frame) for frame in _found(reader.small, align, name)]
    return [AlignedFace(frame, *reader.read(frame, size)) for frame in frames]


def _by_hand(width: int, height: int, config: AlignConfig, name: str) -> list[CropFrame]:
    """The crop that the user gave, or nothing; raises `InputError` for one that lies outside the image."""
    if config.aligned:
        return [whole_frame(width, height)]
    if config.box is not None:
        frame, what = frame_from_box(*config.box), "The box lies"
    elif config.landmarks is not None:
        frame, what = ffhq_frame(torch.tensor(config.landmarks, dtype=torch.float64)), "The landmarks lie"
    else:
        return []
    half = frame.side * math.sqrt(0.5) if frame.angle else frame.side / 2
    x, y = frame.center
    if x + half <= 0 or y + half <= 0 or x - half >= width or y - half >= height:
        raise InputError(f"{what} outside {name} ({width} x {height} pixels): give pixels inside it.")
    if frame.side > _LARGEST * max(width, height):
        raise InputError(
            f"{what} far beyond {name} ({width} x {height} pixels), whose crop would be {frame.side:.0f} pixels wide: "
            "give pixels of this image."
        )
    return [frame]


def _found(rgb: Tensor, config: AlignConfig, name: str) -> list[CropFrame]:
    faces = find_faces(rgb)
    side = None if faces else too_small(rgb)
    if side is not None:
        raise FaceNotFoundError(
            f"{name} has only a face of about {side:.0f} px with its hair, which is too small: use a larger image of it."
        )
    return [face.frame() for face in choose(faces, "all" if config.face == "auto" else config.face, name=name)]


@contextmanager
def of_the_reference(align: AlignConfig) -> Iterator[None]:
    """What is wrong with a face in the block is said of the reference, which `align` belongs to."""
    try:
        yield
    except MienError as error:
        if isinstance(error, FaceNotFoundError):
            error.args = (f"{error} A reference without a human face is taken whole with `extreme`.",)
        error.about = align
        raise
