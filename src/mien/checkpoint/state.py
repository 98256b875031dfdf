"""Training states: any tensors and a JSON document, in one file or in parts below a size, each with its checksum.

    state.json          {"version": 1, "kind": "state", "parts": [{"name", "bytes", "sha256"}, ...], "document": {...}}
    state-<sha>.part    slices of one safetensors file, in order

The index is replaced last, so a folder always holds one whole state, whenever the writer was killed. The parts can travel one
by one; their checksums are tested before anything is loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mien.errors import CheckpointError, InputError
from mien.files import write_whole

_INDEX, _VERSION, _KIND = "state.json", 1, "state"
_PART = re.compile(r"state-[0-9a-f]{16}\.part")


def has_state(folder: Path) -> bool:
    """Whether `folder` holds a state."""
    return (folder / _INDEX).is_file()


def write_state(
    folder: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any], *, part_bytes: int | None = None
) -> None:
    """Write a state into `folder` in place of the one there; `part_bytes` is the most bytes of one file, None for one file."""
    if part_bytes is not None and part_bytes < 1024:
        raise InputError(f"A part of a state has at least 1024 bytes, got {part_bytes}.")
    data = memoryview(save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))
    size = part_bytes or max(1, len(data))
    parts = []
    for start in range(0, max(1, len(data)), size):
        part = data[start : start + size]
        sha = hashlib.sha256(part).hexdigest()
        parts.append({"name": f"state-{sha[:16]}.part", "bytes": len(part), "sha256": sha})
        write_whole(folder / str(parts[-1]["name"]), part, CheckpointError)
    index = {"version": _VERSION, "kind": _KIND, "parts": parts, "document": document}
    write_whole(folder / _INDEX, json.dumps(index, indent=1), CheckpointError)
    wanted = {part["name"] for part in parts}
    for path in folder.iterdir():
        left_over = path.name.startswith((".state-", f".{_INDEX}."))
        if left_over or (_PART.fullmatch(path.name) and path.name not in wanted):
            path.unlink(missing_ok=True)


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the document; raises `CheckpointError` for missing, damaged or foreign parts."""
    path = folder / _INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        known = index["version"] == _VERSION and index["kind"] == _KIND
        parts = [(str(p["name"]), int(p["bytes"]), str(p["sha256"])) for p in index["parts"]]
        document: dict[str, Any] = dict(index["document"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a readable index of a training state ({error}): copy the folder again."
        ) from error
    if not known:
        raise CheckpointError(f"{path} is of another version than this mien reads ({_VERSION}): update mien.")
    pieces = []
    for name, size, sha in parts:
        if not _PART.fullmatch(name):
            raise CheckpointError(f"{path} names a part '{name[:80]}', which mien would not: it is damaged or hostile.")
        try:
            piece = (folder / name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{folder / name} is missing ({error.strerror}): copy all parts of the state.") from error
        if len(piece) != size or hashlib.sha256(piece).hexdigest() != sha:
            raise CheckpointError(f"{folder / name} is damaged: its checksum is wrong; copy it again.")
        pieces.append(piece)
    try:
        return load(b"".join(pieces)), document
    except SafetensorError as error:
        raise CheckpointError(f"The parts in {folder} are no safetensors file ({error}): copy the folder again.") from error
