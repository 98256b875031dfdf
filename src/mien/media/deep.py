"""Color images of 16 bits per channel, which Pillow opens but cannot hold: read through it, written by hand (PNG, TIFF).

PNG: W3C "Portable Network Graphics (PNG) Specification", 3rd edition; TIFF: Adobe "TIFF Revision 6.0", baseline, uncompressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if np.little_endian else "16L"}
_ROWS = 256  # that are worked on at once
_PNG = b"\x89PNG\r\n\x1a\n"


def read_deep(open_image: Callable[[bytes], ImageFile.ImageFile], data: bytes) -> NDArray[np.uint16] | None:
    """The pixels [H, W, C] of a 16 bit RGB, RGBA or gray-and-alpha image; None for any that Pillow holds in full.

    Pillow decodes 16 bit color to the high byte only. Read as if its byte order were the other one, it yields the low byte.
    """
    with open_image(data) as image:
        raw = _raw_mode(image)
        kind, _, order = raw.partition(";")
        if kind == "LA" and order == "16B" and data[:8] == _PNG:
            return _read_gray_and_alpha(open_image, data)
        if kind not in ("RGB", "RGBA") or kind != image.mode or order not in _OTHER_BYTE:
            return None
        image.load()
        both = np.empty((image.height, image.width, len(kind)), np.uint16)
        for rows, strip in _strips(image):
            np.left_shift(strip, 8, out=both[rows], dtype=np.uint16)
    with open_image(data) as image:
        tiles: list[Any] = list(image.tile)
        other = f"{kind};{_OTHER_BYTE[order]}"
        options = [other if isinstance(tile[3], str) else (other, *tile[3][1:]) for tile in tiles]
        # Before Pillow 11 a tile is a plain tuple.
        changed: list[Any] = [
            tile._replace(args=option) if hasattr(tile, "_replace") else (*tile[:3], option)
            for tile, option in zip(tiles, options, strict=True)
        ]
        image.tile = changed
        image.load()
        for rows, strip in _strips(image):
            both[rows] |= strip
    return both


def _strips(image: Image.Image) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """A few rows after the other, so that no second copy of a large image is made."""
    for top in range(0, image.height, _ROWS):
        bottom = min(image.height, top + _ROWS)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)))


def _raw_mode(image: Image.Image) -> str:
    tiles: list[Any] = getattr(image, "tile", None) or []
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")


def _read_gray_and_alpha(open_image: Callable[[bytes], ImageFile.ImageFile], data: bytes) -> NDArray[np.uint16]:
    # Two samples of 16 bits and four of 8 bits are filtered alike: with the header changed, the file is an 8 bit RGBA one.
    header = bytearray(data[12:29])
    header[12:14] = bytes([8, 6])
    with open_image(data[:12] + bytes(header) + struct.pack(">I", zlib.crc32(header)) + data[33:]) as image:
        return np.asarray(image).copy().view(">u2").astype(np.uint16)


def png_bytes(pixels: NDArray[np.uint16], icc: bytes | None, exif: bytes | None = None) -> bytes:
    """A 16 bit PNG file of [H, W, C] uint16 pixels; C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    height, width, channels = pixels.shape
    compressor, compressed = zlib.compressobj(6), []
    above = np.zeros((1, 2 * width * channels), np.uint8)
    for top in range(0, height, _ROWS):
        rows = np.ascontiguousarray(pixels[top : top + _ROWS].astype(">u2")).view(np.uint8).reshape(-1, above.shape[1])
        # Filter 2 ("Up") is the difference to the row above: simple, and good on photographs.
        filtered = np.full((len(rows), rows.shape[1] + 1), 2, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        compressed.append(compressor.compress(filtered.data))
        above = rows[-1:].copy()
    compressed.append(compressor.flush())
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    profile = [_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    return b"".join(
        [
            _PNG,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)),
            *profile,
            *([_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))] if exif else []),
            _chunk(b"IDAT", b"".join(compressed)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff_bytes(pixels: NDArray[np.uint16], icc: bytes | None, exif: bytes | None = None) -> bytes:
    """A 16 bit little-endian TIFF file of [H, W, C] uint16 pixels, one uncompressed strip; channels as in `png_bytes`.

    Gray with alpha is written as RGBA without profile: hardly any program reads it otherwise.
    """
    if pixels.shape[2] == 2:
        pixels, icc = pixels[..., [0, 0, 0, 1]], None
    height, width, channels = pixels.shape
    fields = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, value in _metadata(exif).items():
        fields[tag] = value
    fields[256], fields[257] = width, height
    fields[258] = (16,) * channels
    fields[259] = 1  # no compression
    fields[262] = 2 if channels >= 3 else 1  # RGB, or black is zero
    fields[273] = 0  # the strip follows the directory: Pillow counts from its end
    fields[277] = channels
    fields[278], fields[279] = height, pixels.size * 2
    if channels == 4:
        fields[338] = 2  # alpha, not premultiplied
    if icc:
        fields[34675] = icc
    start = struct.pack("<2sHI", b"II", 42, 8)
    return start + fields.tobytes(len(start)) + pixels.astype("<u2").tobytes()


def _metadata(exif: bytes | None) -> dict[int, Any]:
    """The fields of an EXIF block, its table of exposure as a dictionary: they are fields of a TIFF as well."""
    if exif is None:
        return {}
    known = Image.Exif()
    known.load(exif)
    table = known.get_ifd(IFD.Exif)
    return {**{tag: value for tag, value in known.items() if tag != IFD.Exif}, **({IFD.Exif: dict(table)} if table else {})}
