"""A well-known model of somebody else, brought to where its name finds it."""

from __future__ import annotations

import warnings
from pathlib import Path

from mien.checkpoint.hub.fetch import adopt, check, download
from mien.checkpoint.hub.published import place_of, published
from mien.errors import CheckpointError, InputError, MienWarning
from mien.runtime import Progress


def download_model(
    name: str, path: str | Path | None = None, *, file: str | Path | None = None, overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Download a model that `mien models` lists, check it, and return its path; a broken download goes on where it stopped.

    `path` is a file or folder to write; None takes the folder of models, where the name finds it. `file` is the same file, if
    you have it already: nothing is downloaded. `progress` counts megabytes. By using a file you accept its license. Warns of
    what could not be checked. Raises `InputError` for what the network does, and `CheckpointError` for a wrong file.
    """
    entry = published(name)
    target = place_of(entry) if path is None else Path(path)
    target = target / entry.file if target.is_dir() else target
    if target.exists() and not overwrite:
        try:
            remarks = [*check(entry, target), f"{target} was there already."]
        except CheckpointError as error:
            raise InputError(f"{target} is there and is not {entry.file}: give another `out`, or `overwrite`.") from error
    elif file is not None:
        if not Path(file).is_file():
            raise InputError(f"There is no file {file}: check the name.")
        remarks = adopt(entry, Path(file), target)
    else:
        remarks = download(entry, target, *([] if progress is None else [progress]))
    for remark in remarks:
        warnings.warn(remark, MienWarning, stacklevel=2)
    return target
