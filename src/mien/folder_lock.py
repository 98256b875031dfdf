"""One process at a time in a folder of half-done work: run folders, states of a fit, data sets that are being made.

The operating system holds the lock (`filelock`) and frees it when the process ends, however it ends. A file beside it tells the
others whose it is; where that file is left over, its process was killed.
"""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import InputError, MienWarning, shown
from mien.files import parse_json, read_text, write_whole

LOCK, _OWNER = ".lock", ".lock.json"


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is made if it is missing, while the block runs.

    Raises `InputError`, which says who has it (process, host, since when), where another process does. What a killed process
    held is taken over, and a warning says so.
    """
    from filelock import FileLock, Timeout

    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as taken:
        raise InputError(
            f"{folder} is in use by {_owner(folder) or 'another process'}: wait for that one, or choose another folder."
        ) from taken
    except OSError as refused:
        raise InputError(f"{folder} cannot be written ({refused.strerror or refused}): choose another folder.") from refused
    try:
        left_by = _owner(folder)
        if left_by is not None:
            warnings.warn(f"{folder} was left by {left_by}, which has ended: taken over.", MienWarning, stacklevel=3)
        mine = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M")}
        write_whole(folder / _OWNER, json.dumps(mine) + "\n")
        yield
    finally:
        (folder / _OWNER).unlink(missing_ok=True)
        lock.release()
        if made and folder.is_dir() and all(path.name == LOCK for path in folder.iterdir()):  # nothing came of it
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _owner(folder: Path) -> str | None:
    """Who says to have the folder; None where nobody does, or nobody legibly."""
    path = folder / _OWNER
    if not path.exists():
        return None
    try:
        said = parse_json(read_text(path, most=1 << 12), path)
    except InputError:
        return None
    if not isinstance(said, dict):
        return None
    process, host, since = (shown(said.get(name), 60) for name in ("process", "host", "since"))
    return f"process {process} on {host} since {since}"
