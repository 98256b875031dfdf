"""The one way to write a file: whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import InputError, MienError


@contextmanager
def written_whole(path: Path, error: type[MienError] = InputError) -> Iterator[Path]:
    """A temporary name beside `path` to write to, which takes the place of `path` when the block ends well.

    Missing folders are made. The file is on the disk before it gets its name, so a power cut leaves the old one or the new one,
    with the permissions that any new file gets. Raises `error` where something cannot be written.
    """
    # Part of the name, so that a left-over says whose it is; not all, because names end at 255 bytes.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _give_usual_permissions(temporary)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as refused:
        reason = refused.strerror or refused
        raise error(f"{path} cannot be written ({reason}): choose another place or free some room.") from refused
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | memoryview | str, error: type[MienError] = InputError) -> None:
    """Write bytes, or text as UTF-8 with plain line ends, as `written_whole` does."""
    with written_whole(path, error) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def _give_usual_permissions(path: Path) -> None:
    # safetensors makes files that only their owner may read; give them what open() would have given.
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
