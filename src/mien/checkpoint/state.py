"""Training states: any tensors and a JSON document, in one file or in parts below a size, each with its checksum.

    state.json          {"version": 1, "kind": "state", "parts": [{"name", "bytes", "sha256"}, ...], "document": {...}}
    state-<hash>.part   slices of one safetensors file, in order

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

from mien.checkpoint.foreign.limits import MOST_BYTES
from mien.checkpoint.safetensors_header import check_header
from mien.checkpoint.soundness import check_finite
from mien.errors import CheckpointError, InputError, shown
from mien.files import check_regular, parse_json, read_bytes, read_text, write_whole

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
    parts: list[dict[str, Any]] = []
    for start in range(0, max(1, len(data)), size):
        part = data[start : start + size]
        sha = hashlib.sha256(part).hexdigest()
        # Its place is part of the name: equal parts are as many files, so that no small folder becomes a large state.
        name = hashlib.sha256(f"{len(parts)} {sha}".encode()).hexdigest()[:16]
        parts.append({"name": f"state-{name}.part", "bytes": len(part), "sha256": sha})
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
    index: Any = parse_json(read_text(path, CheckpointError), path, CheckpointError)
    try:
        known = index["version"] == _VERSION and index["kind"] == _KIND
        parts = [_part(p) for p in index["parts"]]
        document: dict[str, Any] = {str(name): value for name, value in index["document"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a readable index of a training state ({shown(error)}): copy the folder again."
        ) from error
    if not known:
        raise CheckpointError(f"{path} is of another version than this mien reads ({_VERSION}): update mien.")
    if len({name for name, _, _ in parts}) < len(parts) or sum(size for _, size, _ in parts) > MOST_BYTES:
        raise CheckpointError(f"{path} claims more than a state has: it is damaged or hostile.")
    pieces = []
    for name, size, sha in parts:
        if not _PART.fullmatch(name):
            raise CheckpointError(f"{path} names a part '{shown(name)}', which mien would not: it is damaged or hostile.")
        if not (folder / name).exists():
            raise CheckpointError(f"{folder / name} is missing: copy all parts of the state.")
        if check_regular(folder / name, CheckpointError) != size:
            raise CheckpointError(f"{folder / name} is damaged: its size, and so its checksum, is wrong; copy it again.")
        piece = read_bytes(folder / name, size, CheckpointError)
        if len(piece) != size or hashlib.sha256(piece).hexdigest() != sha:
            raise CheckpointError(f"{folder / name} is damaged: its checksum is wrong; copy it again.")
        pieces.append(piece)
    data = b"".join(pieces)
    pieces.clear()  # a state may be large: not twice
    check_header(data, f"The state in {folder}")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise CheckpointError(f"The parts in {folder} are no safetensors file ({error}): copy the folder again.") from error
    check_finite(tensors, f"The state in {folder}")
    return tensors, document


def _part(entry: Any) -> tuple[str, int, str]:
    name, size, sha = entry["name"], entry["bytes"], entry["sha256"]
    if not (isinstance(name, str) and type(size) is int and 0 <= size <= MOST_BYTES and isinstance(sha, str)):
        raise ValueError("a part without name, size or checksum")
    return name, size, sha
