"""What is kept of a photo's metadata: date, camera, exposure, author and resolution; never the place, nor serial numbers.

EXIF 2.32 (CIPA DC-008), TIFF 6.0. What is kept is a list of tags, not what is left over when known secrets are taken out.
"""

from __future__ import annotations

from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

_EXIF_TABLE = 0x8769
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_MAIN = (
    271, 272,  # camera: make and model
    _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT,
    305, 306,  # software, date
    315, 33432,  # author, copyright
)  # fmt: skip
_EXPOSURE = (
    0x829A, 0x829D, 0x8822, 0x8827,  # time, f-number, program, ISO
    0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292,  # dates, their time zones and fractions
    0x9201, 0x9202, 0x9204, 0x9207, 0x9209, 0x920A,  # shutter, aperture, bias, metering, flash, focal length
    0xA402, 0xA403, 0xA405, 0xA433, 0xA434,  # exposure mode, white balance, focal length in 35 mm, lens
)  # fmt: skip
_LONGEST = 500  # characters of a text


def harmless_exif(image: Image.Image) -> bytes | None:
    """The harmless part of an image's EXIF as the bytes of a block of its own; None where there is nothing.

    The orientation is left out: images are upright. A resolution that the file states elsewhere is taken in.
    """
    found, kept = image.getexif(), Image.Exif()
    for tag in _MAIN:
        if _is_plain(found.get(tag)):
            kept[tag] = found[tag]
    table = found.get_ifd(_EXIF_TABLE)
    exposure = {tag: table[tag] for tag in _EXPOSURE if _is_plain(table.get(tag))}
    if exposure:
        kept[_EXIF_TABLE] = exposure
    dpi = image.info.get("dpi")
    if _X_RESOLUTION not in kept and isinstance(dpi, tuple) and len(dpi) == 2 and all(0 < float(d) < 1e5 for d in dpi):
        kept[_X_RESOLUTION], kept[_Y_RESOLUTION], kept[_RESOLUTION_UNIT] = (*(IFDRational(round(float(d))) for d in dpi), 2)
    return kept.tobytes() if len(kept) else None


def save_options(exif: bytes | None) -> dict[str, Any]:
    """What Pillow's writers take to write such a block: the EXIF, and the resolution as each format states it."""
    if exif is None:
        return {}
    known = Image.Exif()
    known.load(exif)
    factor = 2.54 if known.get(_RESOLUTION_UNIT) == 3 else 1.0
    values = [float(known.get(tag) or 0) * factor for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    return {"exif": exif, **({"dpi": tuple(values)} if all(value > 0 for value in values) else {})}


def _is_plain(value: object) -> bool:
    """Whether a value is a number or a short text, not a block of bytes that may hold anything."""
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST
    return isinstance(value, (int, float, IFDRational)) and not isinstance(value, bool)
