"""Our own file format: safetensors with one JSON document in the metadata, versioned.

    metadata["mien"] = {"version": 1, "kind": "model" | "style" | ..., ...}

Tensor names are `<part>.<parameter>`, for example `generator.synthesis.b8.conv0.weight`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mien.checkpoint.safetensors_header import read_header
from mien.errors import CheckpointError, shown
from mien.files import written_whole

VERSION = 1
_ENTRY = "mien"


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write `tensors` and `document` to `path`: first to a temporary name beside it, then renamed."""
    header = json.dumps({"version": VERSION, "kind": kind, **document}, sort_keys=True)
    ready = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with written_whole(path, CheckpointError) as temporary:
        try:
            save_file(ready, temporary, metadata={_ENTRY: header})
        except SafetensorError as error:  # its own name for what the system refused
            raise OSError(str(error)) from error


def is_ours(path: Path) -> bool:
    """Whether a safetensors file has a document of mien's; raises `CheckpointError` for a broken file."""
    return _ENTRY in read_header(path)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON document of a file of ours, without reading its tensors; `kind` is always there and a text."""
    metadata = read_header(path)
    if _ENTRY not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not one that mien wrote: see `mien inspect`.")
    try:
        document = json.loads(metadata[_ENTRY])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has a damaged description (not JSON): get it again.") from error
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(kind, str) or not re.fullmatch("[a-z][a-z_-]{0,30}", kind):
        raise CheckpointError(f"{path} has a damaged description (no kind): get it again.")
    if document.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {str(document.get('version'))[:20]}, this mien reads version {VERSION}: update mien."
        )
    return document


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors (as stored) and the JSON document of a file of ours."""
    document = read_document(path)
    return read_foreign(path), document


def read_foreign(path: Path) -> dict[str, Tensor]:
    """All tensors of any safetensors file, as stored: views of the mapped file, so that what is not used is not read."""
    read_header(path)
    try:
        with safe_open(str(path), framework="pt") as file:  # type: ignore[no-untyped-call]
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({shown(error)}): get it again.") from error


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one part as stored, without the part's prefix."""
    prefix = f"{name}."
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def digest(tensors: Mapping[str, Tensor]) -> str:
    """First 16 hex digits of a SHA-256 over names, shapes and values (float32), independent of order."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().to(torch.float32).contiguous()
        total.update(f"{name}{list(value.shape)}".encode())
        total.update(value.numpy().tobytes())
    return total.hexdigest()[:16]
