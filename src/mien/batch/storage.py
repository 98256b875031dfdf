"""Where photos lie and pictures go: files, or any address that fsspec knows (s3://bucket/folder, sftp://host/folder).

An address is a `upath.UPath`, which has the methods of `Path`. Nothing here waits for torch or for the net before it is used.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mien.errors import InputError, shown
from mien.media.listing import SUFFIXES, list_pictures
from mien.shipped import refuse_address

if TYPE_CHECKING:
    from mien.media.picture import Picture

# One letter is a drive of Windows; an address that became a path has one slash.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.*)")


def place(name: str | Path) -> Path:
    """The file or folder of that name; an address as a `UPath`. Raises `InputError` for one that cannot be opened here.

    >>> place("photos").name
    'photos'
    """
    found = _ADDRESS.fullmatch(str(name).replace("\\", "/")) if isinstance(name, (str, Path)) else None
    if found is None:
        return Path(name)
    refuse_address(name)
    scheme, rest = found.groups()
    try:
        from upath import UPath

        return cast(Path, UPath(f"{scheme}://{'/' if scheme in ('file', 'local') else ''}{rest}"))
    except ImportError as error:
        raise InputError(
            f'{shown(name)} is an address: install what opens it with pip install "mien[cluster]" ({shown(error, 60)}).'
        ) from error
    except ValueError as error:
        raise InputError(f"{shown(name)} is an address that cannot be opened: {shown(error)}.") from error


def is_address(path: Path) -> bool:
    """Whether it is an address, not a file of this machine."""
    return not isinstance(path, Path)


def photos_of(folder: Path, *, recursive: bool = False) -> dict[Path, str]:
    """{photo: its name within the folder}, as `list_pictures` finds and orders them."""
    if not is_address(folder):
        return {path: path.relative_to(folder).as_posix() for path in list_pictures(folder, recursive=recursive)}
    try:
        found = [path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({shown(error)}): check the address.") from error
    if not found:
        raise InputError(f"{folder} has no pictures in it: give another folder.")
    start = len(folder.path.rstrip("/")) + 1  # type: ignore[attr-defined]
    names = {path: str(path.path)[start:] for path in found}  # type: ignore[attr-defined]
    return dict(sorted(names.items(), key=lambda item: (item[1].casefold(), item[1])))


def read_photo(path: Path) -> Picture:
    """Read a picture from a file or an address."""
    from mien.media.images import MAX_BYTES, decode_picture, read_picture

    if not is_address(path):
        return read_picture(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than the {MAX_BYTES >> 20} MiB that are read: give a smaller one.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({shown(error)}): check the address.") from error
    return decode_picture(data, Path(str(path)))


def write_photo(path: Path, picture: Picture, *, overwrite: bool = False) -> None:
    """Write a picture to a file or an address, where it appears whole or not at all. Raises `InputError`."""
    from mien.media.images import encode_picture, write_picture

    if not is_address(path):
        write_picture(path, picture, overwrite=overwrite)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already: choose another name or allow to `overwrite` it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(encode_picture(picture, "PNG"))
        path.fs.mv(part.path, path.path)  # type: ignore[attr-defined]
    except OSError as error:
        raise InputError(f"{path} cannot be written ({shown(error)}): choose another place.") from error
