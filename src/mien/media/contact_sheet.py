"""Contact sheets: a grid of images with captions, the same bytes for the same input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mien.media.eight_bit import from_uint8, to_uint8

_PAPER, _INK = 255, 40
_MARGIN = 6
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def sheet(
    rows: Sequence[Sequence[Tensor | None]],
    *,
    size: int | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    captions: Sequence[Sequence[str | None]] | None = None,
    gap: int = 4,
) -> Tensor:
    """Put images into a grid: [3, H, W] float32 in [-1, 1], on white.

    `rows` holds images [3, h, w] in [-1, 1] of any sizes; `None` leaves a cell empty, and short rows end in empty cells.
    `size` is the side of a cell in pixels; None takes the longest side of any image. Every image is scaled to fit its cell
    (Lanczos, proportions kept) and centered. Labels are written beside the rows and above the columns,
    `captions` (laid out as `rows`) below the cells, all wrapped to fit.
    Raises `ValueError` for an empty sheet, images of another shape and a wrong number of labels.
    """
    _check(rows, row_labels, column_labels, captions)
    width = max(len(row) for row in rows)
    given = [cell for row in rows for cell in row if cell is not None]
    if size is None:
        size = max((max(cell.shape[1:]) for cell in given), default=64)
    if size < 1 or gap < 0:
        raise ValueError(f"size must be at least 1 and gap at least 0, got {size} and {gap}")

    font = ImageFont.load_default(size=min(24, max(11, size // 9)))
    top = [_wrapped(text, font, size) for text in column_labels or []]
    # Row labels may be wider than a cell where cells are tiny.
    side = [_wrapped(text, font, max(size, 96)) for text in row_labels or []]
    above = max((_extent(text, font)[1] for text in top), default=0)
    left = max((_extent(text, font)[0] for text in side), default=0)
    above, left = (space + _MARGIN if space else 0 for space in (above, left))

    below = [[_wrapped(text or "", font, size) for text in row] for row in captions or [[]]]
    under = max((_extent(text, font)[1] for row in below for text in row), default=0)
    across, down = size + gap, size + under + gap
    canvas = Image.new("RGB", (left + width * across + gap, above + len(rows) * down + gap), (_PAPER,) * 3)
    draw = ImageDraw.Draw(canvas)
    for column, text in enumerate(top):
        w, h = _extent(text, font)
        _write(draw, (left + gap + column * across + max(0, (size - w) // 2), gap + above - _MARGIN - h), text, font, "center")
    for index, text in enumerate(side):
        w, h = _extent(text, font)
        _write(draw, (left - _MARGIN // 2 - w, above + gap + index * down + max(0, (size - h) // 2)), text, font, "right")
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell is not None:
                image = _fitted(cell, size)
                corner = left + gap + x * across, above + gap + y * down
                canvas.paste(image, (corner[0] + (size - image.width) // 2, corner[1] + (size - image.height) // 2))
    for y, texts in enumerate(below):
        for x, text in enumerate(texts):
            place = left + gap + x * across + max(0, (size - _extent(text, font)[0]) // 2), above + gap + y * down + size
            _write(draw, place, text, font, "center")
    return from_uint8(torch.from_numpy(np.array(canvas)).permute(2, 0, 1))


def _check(
    rows: Sequence[Sequence[Tensor | None]],
    row_labels: Sequence[str] | None,
    column_labels: Sequence[str] | None,
    captions: Sequence[Sequence[str | None]] | None,
) -> None:
    width = max((len(row) for row in rows), default=0)
    images = [image for row in rows for image in row if image is not None]
    if width == 0:
        raise ValueError("a sheet needs at least one row with one cell")
    for image in images:
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(f"images of a sheet must be [3, H, W], got {list(image.shape)}")
    for labels, count, what in ((row_labels, len(rows), "row"), (column_labels, width, "column")):
        if labels is not None and len(labels) != count:
            raise ValueError(f"a sheet of {count} {what}s needs as many {what} labels, got {len(labels)}")
    if captions is not None and [len(row) for row in captions] != [len(row) for row in rows]:
        raise ValueError("captions must be laid out as the rows: one text or None for every cell")


def _fitted(rgb: Tensor, size: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(to_uint8(rgb).permute(1, 2, 0).numpy()))
    scale = size / max(image.size)
    if scale == 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _wrapped(text: str, font: _Font, width: int) -> str:
    """`text` with line breaks between words (inside a word only where it is too long alone), lines at most `width` px."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = ""
            for letter in word:
                if line and font.getlength(line + letter) > width:
                    lines.append(line)
                    line = ""
                line += letter
        lines.append(line)
    return "\n".join(lines)


def _extent(text: str, font: _Font) -> tuple[int, int]:
    """Width and height in pixels that `text` takes; the height counts lines alone, so that baselines agree."""
    if not text:
        return 0, 0
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    right = draw.multiline_textbbox((0, 0), text, font=font)[2]
    bottom = draw.multiline_textbbox((0, 0), "\n".join("Åg" for _ in text.split("\n")), font=font)[3]
    return math.ceil(right), math.ceil(bottom)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, font: _Font, align: str) -> None:
    draw.multiline_text(corner, text, fill=(_INK,) * 3, font=font, align=align)
