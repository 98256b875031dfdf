"""Our own file format: safetensors with one JSON document in the metadata, versioned.

    metadata["mien"] = {"version": 1, "kind": "model" | "style" | ..., ...}

Tensor names are `<part>.<parameter>`, for example `generator.synthesis.b8.conv0.weight`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mien.errors import CheckpointError

VERSION = 1


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write `tensors` and `document` to `path`: first to a temporary name beside it, then renamed."""
    header = json.dumps({"version": VERSION, "kind": kind, **document}, sort_keys=True)
    ready = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(ready, temporary, metadata={"mien": header})
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_document(path: Path) -> dict[str, Any]:
    """The JSON document of a file of ours, without reading its tensors."""
    try:
        with safe_open(str(path), framework="pt") as file:  # type: ignore[no-untyped-call]
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}): get it again.") from error
    if "mien" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not one that mien wrote: see `mien inspect`.")
    document: dict[str, Any] = json.loads(metadata["mien"])
    if document.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {document.get('version')}, this mien reads version {VERSION}: update mien."
        )
    return document


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors (as stored) and the JSON document of a file of ours."""
    document = read_document(path)
    with safe_open(str(path), framework="pt") as file:  # type: ignore[no-untyped-call]
        return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118 (not a dict)


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one part as float32, without the part's prefix; integers keep their type."""
    prefix = f"{name}."
    found = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    return {key: value.float() if value.is_floating_point() else value for key, value in found.items()}


def digest(tensors: Mapping[str, Tensor]) -> str:
    """First 16 hex digits of a SHA-256 over names, shapes and values (float32), independent of order."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().to(torch.float32).contiguous()
        total.update(f"{name}{list(value.shape)}".encode())
        total.update(value.numpy().tobytes())
    return total.hexdigest()[:16]
