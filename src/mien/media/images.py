"""Images in and out: upright, in their own depth and color space, with one-sentence errors for unusable files."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from mien.errors import InputError, MienWarning, TooLargeError
from mien.files import read_bytes, written_whole
from mien.media import deep, icc_profile
from mien.media.image_data import ImageData, Pixels, from_tensor
from mien.media.listing import SUFFIXES, VIDEOS, list_images
from mien.media.metadata import harmless_exif, save_options

__all__ = ["SUFFIXES", "ImageData", "from_tensor", "list_images", "read_image", "write_image"]

MAX_PIXELS = 120_000_000
"""Images of more pixels are refused: they need more memory than a face job should."""

MAX_BYTES = 1 << 30
"""Files of more bytes are refused: 120 megapixels of 16 bits and four channels need less."""

# EPS (which starts Ghostscript), PDF and other formats that are more than pixels stay out.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "HEIF")
_WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_ORIENTATION = 0x0112
_FILTERS = threading.RLock()
_STRIP = 4_000_000  # pixels that are converted at once
# What Pillow's parsers raise on damaged files besides its own errors.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, TypeError, LookupError, ArithmeticError,
           AttributeError, RuntimeError, MemoryError)  # fmt: skip


def read_image(path: Path | str) -> ImageData:
    """Read an image upright (EXIF orientation applied), in its own depth.

    Palettes become RGB(A), 1 bit becomes gray, CMYK and other color models become sRGB; of several frames the first is taken.
    Raises `InputError` for anything that is not a usable image.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder where one image is expected: give an image file.")
    if path.suffix.lower() in VIDEOS and path.exists():
        raise InputError(f"{path} is a video, and an image is needed here: `stylize_video` redraws the faces of videos.")
    return decode_image(read_bytes(path, MAX_BYTES), path)


def decode_image(data: bytes, path: Path, *, most_pixels: int = MAX_PIXELS) -> ImageData:
    """The same as `read_image` for the bytes of a file; `path` is its name in messages.

    Raises `TooLargeError` before an image is decoded that claims more than `most_pixels`.
    """
    if not data:
        raise InputError(f"{path} is empty (0 bytes): get the file again.")
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        _register_heif(path)
    with _pillow_is_quiet(), _open(data, path) as image:
        if image.width * image.height > most_pixels:
            raise TooLargeError(
                f"{path} has {image.width} x {image.height} pixels, more than the {most_pixels // 1_000_000} megapixels "
                "that are read: scale it down first."
            )
        pixels, icc = _decode(image, data, path)
        with _parsing(path):
            orientation, exif = int(image.getexif().get(_ORIENTATION, 1)), harmless_exif(image)
        several = _has_more_frames(image, data, path)
    if icc is not None and not icc_profile.fits(icc, 1 if pixels.shape[2] < 3 else 3):
        warnings.warn(f"{path}: its color profile cannot be used; its colors are taken as sRGB.", MienWarning, stacklevel=2)
        icc = None
    if several:
        text = f"{path}: of a moving image, or one of several pages, the first frame alone is taken."
        warnings.warn(text, MienWarning, stacklevel=2)
    return ImageData(_upright(pixels, orientation), icc, path, exif)


@contextmanager
def _pillow_is_quiet() -> Iterator[None]:
    """Without Pillow's warnings of large images and odd metadata, which are looked at here; others' pass.

    Filters of warnings are those of all threads: one thread at a time changes them.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def _has_more_frames(image: ImageFile.ImageFile, data: bytes, path: Path) -> bool:
    """Whether the file holds a moving image or pages; the second image of an MPO is the first one's own small copy."""
    if image.format == "MPO":
        return False
    try:
        with _open(data, path) as again:  # to look for a second frame moves the file on
            return bool(getattr(again, "is_animated", False))
    except (InputError, *_BROKEN):  # the first frame is whole, and that is all that is taken
        return False


def _open(data: bytes, path: Path) -> ImageFile.ImageFile:
    Image.init()
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise TooLargeError(
            f"{path} claims more pixels than the {MAX_PIXELS // 1_000_000} megapixels that are read: scale it down first."
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not an image that mien can read: convert it to PNG, JPEG, WebP or TIFF.") from error
    except _BROKEN as error:
        raise InputError(f"{path} is damaged or cut off ({_brief(error)}): get the file again.") from error


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Only around calls of Pillow's parsers: our own errors must stay visible as such."""
    try:
        yield
    except _BROKEN as error:
        raise InputError(f"{path} is damaged or cut off ({_brief(error)}): get the file again.") from error


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:80] or type(error).__name__


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError(f'{path} is a HEIC image: install the extra for it with pip install "mien[heif]".') from error
    pillow_heif.register_heif_opener()


def _decode(image: ImageFile.ImageFile, data: bytes, path: Path) -> tuple[Pixels, bytes | None]:
    icc: bytes | None = image.info.get("icc_profile") or None
    # Before this image is loaded: never two of them are in memory.
    with _parsing(path):
        sixteen_bits = deep.read_deep(lambda content: _open(content, path), data)
        if sixteen_bits is None:
            image.load()
    if sixteen_bits is not None:
        return sixteen_bits, icc
    mode = image.mode
    if mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"{path} has more than 16 bits per channel: save it with 8 or 16 bits first.")
        return values.astype(np.uint16)[..., None], icc
    if mode == "F":
        raise InputError(f"{path} is a floating-point image: save it with 8 or 16 bits first.")
    if mode == "CMYK":
        return _in_strips(image, lambda strip: icc_profile.cmyk_to_srgb(strip, icc)), None
    see_through = "transparency" in image.info or mode in ("PA", "La", "RGBa", "LA", "RGBA")
    gray = mode in ("1", "L", "LA", "La")
    wanted = ("LA" if see_through else "L") if gray else ("RGBA" if see_through else "RGB")
    pixels = _in_strips(image, lambda strip: strip if mode == wanted else strip.convert(wanted))
    if mode in ("YCbCr", "LAB", "HSV"):
        icc = None  # the profile describes the other color model
    return (pixels[..., None] if pixels.ndim == 2 else pixels), icc


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Pixels:
    """All of an image through `convert`, which must not look beyond a pixel; only a strip is there three times."""
    rows = max(1, _STRIP // image.width)
    whole: Pixels | None = None
    for top in range(0, image.height, rows):
        strip = np.asarray(convert(image.crop((0, top, image.width, min(image.height, top + rows)))))
        if whole is None:
            whole = np.empty((image.height, *strip.shape[1:]), strip.dtype)
        whole[top : top + len(strip)] = strip
    assert whole is not None
    return whole


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation (1 to 8; others count as 1): where row 0 and column 0 of the stored image belong."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def write_image(path: Path | str, image: ImageData, *, overwrite: bool = False, quality: int = 95) -> Path:
    """Write an image in the format that the suffix names: .png, .jpg, .webp or .tif; returns the path.

    Depth, alpha and profile are kept where the format can: .jpg and .webp have 8 bits, .jpg has no alpha (laid on white).
    Of the EXIF what is harmless is kept: no place, no serial numbers.
    `quality` (1..100) is for .jpg and .webp.
    The file appears whole or not at all. Raises InputError for an unknown suffix, or an existing file without `overwrite`.
    """
    path = Path(path)
    kind = _WRITERS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: cannot write {path.suffix or 'a file without suffix'}: use .png, .jpg, .webp or .tif.")
    refuse_existing(path, overwrite=overwrite)
    data = encode_image(image, kind, quality)
    with written_whole(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)
    return path


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `InputError` for a file that is there, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")


def encode_image(data: ImageData, kind: str, quality: int = 95) -> bytes:
    """The bytes of an image file; `kind` is PNG, JPEG, WEBP or TIFF."""
    pixels, icc = data.pixels, data.icc
    if kind == "JPEG" and data.has_alpha:
        alpha = pixels[..., -1:].astype(np.float32) / data.peak
        mixed = pixels[..., :-1] * alpha + data.peak * (1.0 - alpha)
        pixels = np.round(mixed).astype(pixels.dtype)
    if pixels.dtype == np.uint16:
        if kind in ("PNG", "TIFF"):
            deep_pixels = pixels.astype(np.uint16, copy=False)
            return (deep.png_bytes if kind == "PNG" else deep.tiff_bytes)(deep_pixels, icc, data.exif)
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if kind == "WEBP" and data.colors == 1:
        # WebP knows color only: a gray profile would not fit its three channels.
        colored = replace(data, pixels=pixels).colored()
        pixels, icc = colored.pixels, colored.icc
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    # Each writer takes the options it knows and ignores the rest.
    options = save_options(data.exif) | ({"subsampling": 0} if kind == "JPEG" else {})
    image.save(stream, kind, icc_profile=icc, quality=quality, **options)
    return stream.getvalue()


def opened(image: ImageData | str | Path) -> ImageData:
    """The image itself, or the one that is in the file."""
    return image if isinstance(image, ImageData) else read_image(image)


def path_of(image: ImageData | str | Path) -> Path:
    """The file of an image; of one that comes from none, a name that stands for it."""
    return (image.path or Path("image")) if isinstance(image, ImageData) else Path(image)
