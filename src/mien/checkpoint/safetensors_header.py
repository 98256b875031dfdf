"""The header of a safetensors file, read and checked before anything is allocated for what it claims.

Eight bytes of length, then JSON: `{name: {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {text: text}}`; then the
numbers, without gaps. The format is that of github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.checkpoint.foreign.limits import MOST_BYTES
from mien.errors import CheckpointError, shown
from mien.files import check_regular

_MOST_HEADER = 8 << 20  # bytes; that of a model of 1024 px has 30,000
_MOST_TENSORS = 50_000
_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
_MOST_DIMENSIONS = 8


class _BrokenError(ValueError):
    pass


def read_header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file whose header is in order; raises `CheckpointError` with one sentence otherwise."""
    size = check_regular(path, CheckpointError)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_MOST_HEADER, size - 8):
                raise _BrokenError("its header is longer than the file" if length > size - 8 else "its header is far too long")
            header = json.loads(file.read(length))
        return _checked(header, size - 8 - length)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}): check its permissions.") from error
    except (ValueError, RecursionError) as error:
        reason = shown(error) if isinstance(error, _BrokenError) else "its header is no JSON"
        raise CheckpointError(f"{path} is not a readable safetensors file ({reason}): get it again.") from error


def check_header(data: bytes, what: str) -> None:
    """Raise `CheckpointError`, which names `what`, for bytes that are no safetensors file in order."""
    length = int.from_bytes(data[:8], "little")
    try:
        if len(data) < 8 or length > min(_MOST_HEADER, len(data) - 8):
            raise _BrokenError("its header is longer than the file, or far too long")
        _checked(json.loads(data[8 : 8 + length]), len(data) - 8 - length)
    except (ValueError, RecursionError) as error:
        reason = shown(error) if isinstance(error, _BrokenError) else "its header is no JSON"
        raise CheckpointError(f"{what} is not a readable safetensors file ({reason}): copy it again.") from error


def _checked(header: Any, nbytes: int) -> dict[str, str]:
    if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
        raise _BrokenError("its header is no table of tensors, or an endless one")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _BrokenError("its metadata are no texts")
    if nbytes > MOST_BYTES:
        raise _BrokenError(f"it holds more than the {MOST_BYTES >> 30} GiB that are read")
    end = 0
    for start, stop in sorted(_spans(header)):
        if start != end:
            raise _BrokenError("its tensors do not lie one after the other")
        end = stop
    if end != nbytes:
        raise _BrokenError("it was cut off" if end > nbytes else "it holds more than its tensors")
    return metadata


def _spans(header: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Where the numbers of each tensor lie."""
    for name, entry in header.items():
        entry = entry if isinstance(entry, dict) else {}
        kind = entry.get("dtype")
        shape, span = _whole_numbers(entry.get("shape")), _whole_numbers(entry.get("data_offsets"))
        if not isinstance(kind, str) or kind not in _BYTES:
            raise _BrokenError(f"the tensor {shown(name, 40)} has an unknown number type")
        if shape is None or span is None or len(span) != 2 or len(shape) > _MOST_DIMENSIONS:
            raise _BrokenError(f"the tensor {shown(name, 40)} has an impossible shape")
        if span[1] - span[0] != math.prod(shape) * _BYTES[kind]:
            raise _BrokenError(f"the tensor {shown(name, 40)} has another size than its numbers")
        yield span[0], span[1]


def _whole_numbers(values: Any) -> list[int] | None:
    fits = isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)
    return values if fits else None
