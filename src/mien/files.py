"""The one way to write a file, whole or not at all, and the one way to read a small one, with a limit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mien.errors import InputError, MienError, shown
from mien.shipped import ready_styles

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:4]
_PART = re.compile(rf"\..*\.{_HOST}-(\d+)-[0-9a-f]{{8}}\.part")
_ours: set[str] = set()
_swept: set[Path] = set()


@contextmanager
def written_whole(path: Path, error: type[MienError] = InputError, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary name beside `path` to write to, which takes the place of `path` when the block ends well.

    Missing folders are made. The file is on the disk before it gets its name, so a power cut leaves the old one or the new one,
    with the permissions that any new file gets. Raises `error` where something cannot be written, and, without `overwrite`,
    where a file has the name by then: of two processes the second one fails. What killed processes left half-written in the
    folder is deleted.
    """
    # Part of the name, so that a left-over says whose it is; not all, because names end at 255 bytes.
    temporary = path.with_name(f".{path.name[:40]}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.part")
    _ours.add(temporary.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        yield temporary
        _give_usual_permissions(temporary)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, path)
        else:
            _take_free_name(temporary, path)
    except FileExistsError as taken:
        raise error(f"{path} exists already: choose another name or allow to `overwrite` it.") from taken
    except OSError as refused:
        reason = refused.strerror or refused
        raise error(f"{path} cannot be written ({reason}): choose another place or free some space.") from refused
    finally:
        temporary.unlink(missing_ok=True)
        _ours.discard(temporary.name)


def _take_free_name(temporary: Path, path: Path) -> None:
    """Give a file its name if nothing has it; raises `FileExistsError`."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):  # a disk without second names, such as FAT
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(temporary, path)
        except OSError:
            path.unlink()  # the name that was held free
            raise


def sweep(folder: Path) -> None:
    """Delete what processes that no longer run left half-written in a folder; once per folder and process."""
    if folder in _swept:
        return
    _swept.add(folder)
    for path in folder.glob(".*.part"):
        found = _PART.fullmatch(path.name)
        if found and path.name not in _ours and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether another process of that number runs here; this one knows its own files."""
    if process == os.getpid():
        return False
    if os.name != "posix":  # there is no way to ask that is safe: what is left there stays
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_whole(path: Path, content: bytes | memoryview | str, error: type[MienError] = InputError) -> None:
    """Write bytes, or text as UTF-8 with plain line ends, as `written_whole` does."""
    with written_whole(path, error) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


MOST_TEXT = 32 << 20
"""Bytes of a text file that are read at most."""


def check_regular(path: Path, error: type[MienError] = InputError) -> int:
    """The size of a file in bytes; raises `error` where there is none, or where it is a folder, a device or a pipe.

    Those may never end, or never begin.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as missing:
        hint = " It is the name of a ready style: give it as the style." if str(path).lower() in ready_styles() else ""
        raise error(f"There is no file {path}: check its name.{hint}") from missing
    except (OSError, ValueError) as refused:
        raise error(f"{path} cannot be read ({getattr(refused, 'strerror', None) or refused}): check its name.") from refused
    if stat.S_ISDIR(found.st_mode):
        raise error(f"{path} is a folder, and a file is needed here.")
    if not stat.S_ISREG(found.st_mode):
        raise error(f"{path} is a device or a pipe, and a file is needed here: save what it gives to a file first.")
    return found.st_size


def read_bytes(path: Path, most: int, error: type[MienError] = InputError) -> bytes:
    """The content of a file of at most `most` bytes; raises `error` with one sentence for anything else."""
    size = check_regular(path, error)
    try:
        with path.open("rb") as file:
            data = file.read(min(size, most) + 1)  # its size may be 0 where the system makes it up (/proc), and it may grow
            data += file.read(most + 1 - len(data)) if len(data) > size else b""
    except OSError as refused:
        raise error(f"{path} cannot be read ({refused.strerror or refused}): check its permissions.") from refused
    if len(data) > most:
        size_text = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
        raise error(f"{path} is larger than the {size_text} that are read: give a smaller one.")
    return data


def read_text(path: Path, error: type[MienError] = InputError, *, most: int = MOST_TEXT) -> str:
    """The text (UTF-8, with or without byte order mark) of a file; raises `error` with one sentence for anything else."""
    try:
        return read_bytes(path, most, error).decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise error(f"{path} is not a text file in UTF-8 ({broken.reason}): check its name.") from broken


def parse_json(text: str, path: Path, error: type[MienError] = InputError) -> object:
    """A JSON document; raises `error`, which names `path`, for what is none, for nesting without end and endless numbers."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as broken:
        reason = "its lists are nested too deep" if isinstance(broken, RecursionError) else shown(broken)
        raise error(f"{path} is not readable as JSON ({reason}): it is damaged, or no such file.") from broken


_END_OF_ZIP = struct.Struct("<4s8xL6x")


def zip_directory_bytes(file: BinaryIO) -> int:
    """The size of a zip's list of members as its end claims (0 where there is no end): Python reads all of it into memory.

    As `zipfile` finds it: in the last 22 bytes, or before a comment; the longer numbers of ZIP64 stand 76 bytes before.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22 - 76))
    tail = file.read()
    at = len(tail) - 22
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or at + 22 > len(tail):
        return 0
    claimed: int = _END_OF_ZIP.unpack_from(tail, at)[1]
    if tail[max(0, at - 20) : at].startswith(b"PK\6\7") and at >= 76:
        claimed = max(0 if claimed == 0xFFFFFFFF else claimed, int.from_bytes(tail[at - 36 : at - 28], "little"))
    return claimed


def _give_usual_permissions(path: Path) -> None:
    # safetensors makes files that only their owner may read; give them what open() would have given.
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file: says in a report which weights measured."""
    return file_sha256(path)[:16]
