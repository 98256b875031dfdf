"""Images in a folder (nested), in a zip or alone: their names and bytes; nothing is decoded."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mien.errors import InputError, shown
from mien.files import check_regular, read_bytes, zip_directory_bytes
from mien.media.images import MAX_BYTES, SUFFIXES
from mien.media.listing import warn_of_other_formats

# A member of a zip that claims more than this is no training image.
_MAX_BYTES = 200_000_000
_MOST_DIRECTORY = 100_000_000  # bytes of a zip's list of members, which takes ten times that in memory: a million images
# What the decoders raise: bzip2 OSError, deflate zlib.error, RuntimeError for a password.
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, OSError, EOFError, ValueError,
    struct.error, MemoryError,
)  # fmt: skip


def image_names(path: Path) -> list[str]:
    """The images below `path` in the order in which `read_images` gives them; hidden ones are left out.

    Names are relative to the folder or zip, with slashes. Raises `InputError` if it is not a folder, zip or image.
    """
    if not path.exists():
        raise InputError(f"There is no {path}: give a folder or a zip of images.")
    if path.is_dir():
        # A link that leads nowhere is listed too: it fails by its name.
        names = [file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if not file.is_dir()]
        return _of_images(names, path)
    if path.suffix.lower() in SUFFIXES:
        return [path.name]
    with _opened(path) as archive:
        _of_images([entry.filename for entry in archive.infolist()], path)
        return [entry.filename for entry in _images_of(archive)]


def _of_images(names: Sequence[str], source: Path) -> list[str]:
    """The names of images, with a warning of files of other formats."""
    warn_of_other_formats([name for name in names if not _is_hidden(name)], source)
    return [name for name in names if _is_image(name)]


def read_images(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """Names, and contents or the reason why there are none; raises as `image_names`."""
    names = image_names(path)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        for name in names:
            try:
                yield name, read_bytes(path / name if path.is_dir() else path, MAX_BYTES)
            except InputError as error:
                yield name, str(error)
        return
    with _opened(path) as archive:
        for entry in _images_of(archive):
            yield entry.filename, _member(archive, entry)


def _opened(path: Path) -> zipfile.ZipFile:
    check_regular(path)
    try:
        with path.open("rb") as file:
            if zip_directory_bytes(file) > _MOST_DIRECTORY:
                raise InputError(f"{path} has more members than a data set has images: unpack it, and give the folder.")
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(
            f"{path} is neither a folder nor a readable zip ({shown(error)}): give a folder or a zip of images."
        ) from error


def _images_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    return [entry for entry in entries if _is_image(entry.filename) and not entry.is_dir()]


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | str:
    if entry.file_size > _MAX_BYTES:
        return f"it claims {entry.file_size} bytes"
    try:
        return archive.read(entry)
    except _BROKEN_ZIP as error:
        return f"it cannot be unpacked ({shown(error)})"


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
