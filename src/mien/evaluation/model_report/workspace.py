"""Arrays kept on disk while something long is measured, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.errors import InputError
from mien.files import write_whole


class Workspace:
    """A folder of named results; each is found again only under the very settings that it was made with."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is created when something is kept; None keeps nothing."""
        self.folder = folder

    def kept(self, name: str, settings: Mapping[str, object], make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors that `make` returns, from the folder where it was called before with these `settings` (plain values).

        Raises `InputError` when a kept file cannot be read.
        """
        if self.folder is None:
            return dict(make())
        key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
        path = self.folder / f"{name}-{key}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    return {part: torch.from_numpy(arrays[part]) for part in arrays.files}
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise InputError(f"{path} is damaged ({error}): delete it, and it is made again.") from error
        made = {part: value.detach().cpu() for part, value in make().items()}
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **{part: value.numpy() for part, value in made.items()})
        write_whole(path, stream.getvalue())
        return made


def pixels_digest(pixels: Tensor) -> str:
    """First 16 hex digits of a SHA-256 over a tensor's shape and bytes: which images, at which size."""
    total = hashlib.sha256(f"{list(pixels.shape)}{pixels.dtype}".encode())
    for part in torch.split(pixels.contiguous(), 64):
        total.update(part.numpy().tobytes())
    return total.hexdigest()[:16]
