"""Small images in terminals that show colors: two pixels to a letter."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ROWS, _WIDEST = 12, 96  # lines and letters


def shows_colors() -> bool:
    """Whether stdout is a terminal that says to show 16 million colors, and nobody asked for none (NO_COLOR)."""
    return sys.stdout.isatty() and os.environ.get("COLORTERM") in ("truecolor", "24bit") and not os.environ.get("NO_COLOR")


def half_blocks(image: Image.Image, columns: int | None = None) -> list[str]:
    """Lines of upper half blocks: the letter's color is the upper pixel, its ground the lower one.

    At most 12 lines, and `columns` letters wide (None: as the terminal).
    """
    widest = columns or min(_WIDEST, shutil.get_terminal_size().columns)
    scale = min(2 * _ROWS / image.height, widest / image.width)
    width, height = max(1, round(image.width * scale)), max(2, 2 * round(image.height * scale / 2))
    pixels = image.convert("RGB").resize((width, height))
    lines = []
    for y in range(0, height, 2):
        cells = []
        for x in range(width):
            (r, g, b), (low_r, low_g, low_b) = pixels.getpixel((x, y)), pixels.getpixel((x, y + 1))  # type: ignore[misc]
            cells.append(f"\x1b[38;2;{r};{g};{b};48;2;{low_r};{low_g};{low_b}m▀")
        lines.append("".join(cells) + "\x1b[0m")
    return lines
