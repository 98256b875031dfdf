"""Photos in many styles on one contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from mien.errors import InputError
from mien.faces.config import AlignConfig
from mien.media.contact_sheet import sheet
from mien.media.image_data import ImageData
from mien.media.image_input import ImageLike, as_images, pil_from_tensor
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.shipped import ready_styles
from mien.styles import StyleLike

_MOST_CELLS = 400


def style_sheet(
    photos: ImageLike | Sequence[ImageLike], styles: Sequence[StyleLike] | None = None, config: RenderConfig | None = None, *,
    align: AlignConfig | None = None, model: str | Path | Stylizer | None = None, size: int = 384,
    progress: Progress | None = None,
) -> Image.Image:  # fmt: skip
    """One contact sheet of photos in `styles` (None: all ready ones): one row per photo, starting with the photo.

    Cells are `size` pixels wide, with the names of the styles above. `config`, `align` and `model` as for `mien.stylize`.
    Raises `FaceNotFoundError` where a photo has no face, and `InputError`.

    >>> mien.style_sheet("me.jpg").save("sheet.png")
    """
    images = as_images(photos)
    pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
    looks = [pipe.style(style) for style in (list(ready_styles()) if styles is None else styles)]
    if not images or not looks or len(images) * len(looks) > _MOST_CELLS:
        raise InputError(f"A sheet has from 1 to {_MOST_CELLS} images, got {len(images) * len(looks)}: give less.")
    rows: list[list[Tensor | None]] = []
    for number, image in enumerate(images):
        found = pipe.align(image, align)
        rows.append([_cell(image, size)])
        for index, look in enumerate(looks, 1):
            rows[-1].append(_cell(pipe.apply(look, found, config).image_data, size))
            if progress is not None:
                progress(number * len(looks) + index, len(images) * len(looks), 0.0)
    return pil_from_tensor(sheet(rows, size=size, column_labels=["photo", *(look.name for look in looks)]))


def _cell(image: ImageData, size: int) -> Tensor:
    """An image as a tensor [3, h, w]; a large one is reduced before it is a copy in 32-bit numbers."""
    return image.rgb_reduced(max(1, max(image.width, image.height) // (2 * size)))
