"""Where images are written: every problem is reported before any work starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from mien.errors import InputError
from mien.media.storage import is_address, is_folder, is_there

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Endings that images are written in."""


def check_outputs(outs: Sequence[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse outputs that are inputs, that exist (without `overwrite`) or that cannot be written; create their folders."""
    sources = {_identity(path): path for path in inputs}
    for out in outs:
        if _identity(out) in sources:
            raise InputError(f"{out} is also an input, and is never overwritten: give another `out`.")
        if is_folder(out):
            raise InputError(f"{out} is a folder, and a file is to be written there: give a file name.")
    there = [] if overwrite else [str(out) for out in outs if is_there(out)]
    if there:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        on = "`skip_existing` to make only the others, " if len(outs) > 1 else ""
        raise InputError(f"{', '.join(there[:3])}{more} exists already: give another `out`, {on}or `overwrite` to replace it.")
    for folder in dict.fromkeys(out.parent for out in outs):
        writable_folder(folder)


def writable_folder(folder: Path) -> None:
    """Make a folder that can be written to; raises `InputError` where it cannot. Of an address nothing is known before."""
    if is_address(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Asking the file system is the only answer that holds for quotas, network shares and read-only mounts.
        handle, name = tempfile.mkstemp(dir=folder, prefix=".mien-")
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be written to ({error.strerror}): give another `out`.") from error


def _identity(path: Path) -> str:
    return str(path) if is_address(path) else os.path.normcase(path.resolve())
