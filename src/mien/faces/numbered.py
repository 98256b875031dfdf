"""A photo with its faces numbered, as `face` counts them: to see which is which before one of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mien.faces.align import CropFrame
from mien.faces.config import AlignConfig
from mien.faces.locate import align_faces
from mien.media.image_input import ImageLike, as_image, to_pil

_LINE, _PAPER, _INK = "#ffd21f", "#101010", "#ffffff"  # a line between two dark ones is seen on any ground


def number_faces(photo: ImageLike, align: AlignConfig | None = None) -> Image.Image:
    """The photo with a numbered square around every head, from 1 for the largest: the numbers that `face` takes.

    Raises `FaceNotFoundError` where there is none.

    >>> mien.faces.number_faces("me.jpg").save("numbered.png")
    """
    image = as_image(photo)
    frames = [face.frame for face in align_faces(image, align, size=8)]
    return draw_numbers(to_pil(image), frames)


def draw_numbers(image: Image.Image, frames: Sequence[CropFrame]) -> Image.Image:
    """A copy of an image in RGB with the squares `frames` drawn on it, numbered from 1 in their order."""
    canvas = image.convert("RGB")
    draw = ImageDraw.Draw(canvas)
    for frame in frames:
        corners = [(float(x), float(y)) for x, y in frame.corners().tolist()]
        thin = max(1, round(frame.side / 120))
        for color, width in ((_PAPER, 4 * thin + 2), (_LINE, 2 * thin)):
            draw.line([*corners, corners[0], corners[1]], fill=color, width=width, joint="curve")
    for number, frame in enumerate(frames, 1):
        _label(draw, canvas.size, str(number), frame)
    return canvas


def _label(draw: ImageDraw.ImageDraw, size: tuple[int, int], text: str, frame: CropFrame) -> None:
    """The number on the upper left corner of a square, inside the image; readable also where the face is small."""
    smallest = max(14, max(size) // 60)
    height = max(smallest, min(round(frame.side / 6), 4 * smallest))
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, high = right - left + height // 2, bottom - top + height // 2
    x, y = (
        min(max(0.0, float(at)), side - extent)
        for at, side, extent in zip(frame.corners()[0].tolist(), size, (wide, high), strict=True)
    )
    draw.rounded_rectangle((x, y, x + wide, y + high), height // 5, fill=_PAPER, outline=_LINE, width=max(1, height // 14))
    draw.text((x + height // 4 - left, y + height // 4 - top), text, fill=_INK, font=font)
