"""Animations of a few seconds as animated GIF or WebP."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.files import written_whole
from mien.media.image_data import from_tensor
from mien.media.images import refuse_existing

_FILMS = {".gif": "GIF", ".webp": "WEBP"}
_LONGEST = 600  # frames: all of them are in memory


def write_animation(path: Path, frames: Iterable[Tensor], *, fps: float = 12.0, overwrite: bool = False) -> Path:
    """Write images [3, H, W] in [-1, 1], all of one size, as an animation that repeats forever; the suffix names the format.

    GIF has 256 colors per frame and times in hundredths of a second. The file appears whole or not at all.
    Raises `InputError` for another suffix, no frames or too many, and an existing file without `overwrite`.
    """
    kind = _FILMS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: an animation is written as .gif or .webp, not {path.suffix or 'without suffix'}: rename it.")
    if not 0.1 <= fps <= 100:
        raise InputError(f"An animation has 0.1 to 100 images per second, got {fps:g}.")
    refuse_existing(path, overwrite=overwrite)
    images = []
    for frame in frames:
        images.append(Image.fromarray(from_tensor(frame).pixels))
        if len(images) > _LONGEST:
            raise InputError(f"An animation has at most {_LONGEST} images: take fewer faces or fewer frames between them.")
    if not images:
        raise InputError("An animation needs at least one image.")
    stream = io.BytesIO()
    duration = round(1000 / fps)
    images[0].save(stream, kind, save_all=True, append_images=images[1:], duration=duration, loop=0, quality=90)
    with written_whole(path) as temporary:
        temporary.write_bytes(stream.getvalue())
        refuse_existing(path, overwrite=overwrite)  # again: drawing takes long enough for somebody else to write it
    return path
