"""Where photos are read and images written: files, or any address that fsspec knows (s3://bucket/folder, sftp://host/folder).

An address is a `upath.UPath`, which has the methods of `Path`. Nothing here waits for torch or for the net before it is used.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mien.errors import InputError, MienError, shown
from mien.media.listing import SUFFIXES, list_images
from mien.shipped import refuse_address

if TYPE_CHECKING:
    from mien.media.image_data import ImageData

# One letter is a drive of Windows; an address that became a path has one slash.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.*)")


def place(name: object) -> Path:
    """The file or folder of that name or path; an address as a `UPath`. Raises `InputError` for one that cannot be opened here.

    >>> place("photos").name
    'photos'
    """
    if hasattr(name, "fs"):
        return cast(Path, name)  # an address already
    text = str(os.fspath(name)) if isinstance(name, os.PathLike) else str(name)
    found = _ADDRESS.fullmatch(text.replace("\\", "/"))
    if found is None:
        return Path(text)
    refuse_address(text)
    scheme, rest = found.groups()
    try:
        from upath import UPath

        address = UPath(f"{scheme}://{'/' if scheme in ('file', 'local') else ''}{rest}")
        address.fs  # noqa: B018 (what it is opened with is looked for now)
    except ImportError as error:
        how = f'pip install "mien[cluster]" and what that names ({shown(error, 60)})'
        raise InputError(f"{shown(text)} is an address: install what opens it, {how}.") from error
    except ValueError as error:
        raise InputError(f"{shown(text)} is an address that cannot be opened: {shown(error)}.") from error
    return cast(Path, address)


def is_address(path: Path) -> bool:
    """Whether it is an address, not a file of this machine."""
    return not isinstance(path, Path)


@contextmanager
def _errors_as_ours(path: Path) -> Iterator[None]:
    """Around what an address is asked: errors of the library behind it become ours."""
    try:
        yield
    except (MienError, MemoryError):
        raise
    except Exception as error:  # each storage has errors of its own
        reason = f"{type(error).__name__}: {shown(error)}"
        raise InputError(f"{shown(str(path))} does not answer ({reason}): check the address and your access to it.") from error


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    with _errors_as_ours(path) if is_address(path) else nullcontext():
        return path.is_dir()


def is_file(path: Path) -> bool:
    """Whether there is a file."""
    with _errors_as_ours(path) if is_address(path) else nullcontext():
        return path.is_file()


def is_there(path: Path) -> bool:
    """Whether there is a file or folder."""
    with _errors_as_ours(path) if is_address(path) else nullcontext():
        return path.exists()


def photos_of(folder: Path, *, recursive: bool = False) -> dict[Path, str]:
    """{photo: its name within the folder}, as `list_images` finds and orders them."""
    if not is_address(folder):
        return {path: path.relative_to(folder).as_posix() for path in list_images(folder, recursive=recursive)}
    with _errors_as_ours(folder):
        found = [path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f"{folder} has no images in it: give another folder.")
    start = len(folder.path.rstrip("/")) + 1  # type: ignore[attr-defined]
    names = {path: str(path.path)[start:] for path in found}  # type: ignore[attr-defined]
    return dict(sorted(names.items(), key=lambda item: (item[1].casefold(), item[1])))


def read_photo(path: Path) -> ImageData:
    """Read an image from a file or an address."""
    from mien.media.images import MAX_BYTES, decode_image, read_image

    if not is_address(path):
        return read_image(path)
    with _errors_as_ours(path):
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than the {MAX_BYTES >> 20} MiB that are read: give a smaller one.")
        data = path.read_bytes()
    return decode_image(data, Path(path.name))


def write_photo(path: Path, image: ImageData, *, overwrite: bool = False) -> None:
    """Write an image to a file or an address, where it appears whole or not at all. Raises `InputError`."""
    from mien.media.images import encode_image, write_image

    if not is_address(path):
        write_image(path, image, overwrite=overwrite)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with _errors_as_ours(path):
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(encode_image(image, "PNG"))
        path.fs.mv(part.path, path.path)  # type: ignore[attr-defined]
