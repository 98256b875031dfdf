"""Reading TensorFlow Lite files as data: the operators of the first graph and their constants, dequantised.

A .tflite file is a FlatBuffer: tables that point to their fields by offsets. Only what measuring needs is read, every offset is
checked against the length of the file, and nothing is executed. Field numbers are those of TensorFlow's schema.fbs, version 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.checkpoint.foreign.limits import Budget, DamagedError, RefusedError
from mien.errors import CheckpointError, shown
from mien.files import read_bytes

_MAGIC = b"TFL3"
_MAX_BYTES = 256 << 20
_MAX_TABLES = 20_000  # operators, tensors, buffers; MobileNetV2 has about 200 of each
_TYPES: dict[int, str] = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1"}
_OPERATORS = {0: "ADD", 1: "AVERAGE_POOL_2D", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED",
              22: "RESHAPE", 25: "SOFTMAX", 34: "PAD", 40: "MEAN", 114: "QUANTIZE"}  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """One operator: its kind (`CONV_2D`, ...; `OPERATOR_<n>` where it is not known here) and its constants, in order."""

    kind: str
    constants: tuple[Tensor, ...]
    """float32, dequantised, in TensorFlow's layout: [out, height, width, in]; [1, height, width, out] where depthwise."""


def read_tflite(path: Path) -> list[Operator]:
    """The operators of a .tflite file in the order in which they act, with constants as float32 (scale * (value - zero point)).

    Raises `CheckpointError` with one sentence for files that are of another kind, damaged or cut off.
    """
    data = read_bytes(path, _MAX_BYTES, CheckpointError)
    if data[4:8] != _MAGIC:
        raise CheckpointError(f"{path} is not a TensorFlow Lite file: give one that ends in .tflite.")
    try:
        return _operators(data)
    except (struct.error, ValueError, IndexError, OverflowError, DamagedError, RefusedError) as error:
        raise CheckpointError(f"{path} is a damaged or cut off TensorFlow Lite file ({shown(error)}): get it again.") from error


class _Table:
    """A FlatBuffer table at a position of the file; absent fields have their default values."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.fields = at - _number(data, "<i", at)
        self.size = _number(data, "<H", self.fields)

    def _where(self, field: int) -> int:
        slot = 4 + 2 * field
        offset = _number(self.data, "<H", self.fields + slot) if slot + 2 <= self.size else 0
        return self.at + offset if offset else 0

    def number(self, field: int, kind: str, default: int) -> int:
        at = self._where(field)
        return _number(self.data, kind, at) if at else default

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._where(field)
        if not at:
            return 0, 0
        start = at + _number(self.data, "<I", at)
        return start + 4, _number(self.data, "<I", start)

    def array(self, field: int, dtype: str) -> NDArray[np.generic]:
        start, count = self._vector(field)
        if start < 0 or start + count * np.dtype(dtype).itemsize > len(self.data):
            raise ValueError("an array reaches beyond the end")
        return np.frombuffer(self.data, dtype, count, start)

    def tables(self, field: int) -> list[_Table]:
        start, count = self._vector(field)
        if count > min(_MAX_TABLES, len(self.data) // 4):
            raise ValueError("a list reaches beyond the end")
        places = range(start, start + 4 * count, 4)
        return [_Table(self.data, at + _number(self.data, "<I", at)) for at in places]

    def table(self, field: int) -> _Table | None:
        at = self._where(field)
        return _Table(self.data, at + _number(self.data, "<I", at)) if at else None


def _number(data: bytes, kind: str, at: int) -> int:
    if at < 0:
        raise ValueError("an offset points before the start")
    return int(struct.unpack_from(kind, data, at)[0])


def _operators(data: bytes) -> list[Operator]:
    model = _Table(data, _number(data, "<I", 0))
    # Kinds above 127 moved to a wider field; older files have the narrow one only.
    kinds = [max(code.number(0, "<b", 0), code.number(3, "<i", 0)) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)
    # As float32 at most four times the file; what many operators share counts once, and is dequantised once.
    budget = Budget(4 * len(data) + 2**20, _MAX_TABLES * 4)
    known: dict[int, Tensor | None] = {}
    found = []
    for operator in graph.tables(3):
        number = kinds[operator.number(0, "<I", 0)]
        constants = []
        inputs = operator.array(1, "<i4")
        budget.spend(operations=inputs.size)
        for index in inputs.tolist():
            if index < 0:
                continue
            if index not in known:
                known[index] = _constant(tensors[index], buffers, budget)
            value = known[index]
            constants += [] if value is None else [value]
        found.append(Operator(_OPERATORS.get(number, f"OPERATOR_{number}"), tuple(constants)))
    return found


def _constant(tensor: _Table, buffers: list[_Table], budget: Budget) -> Tensor | None:
    """The value of a tensor that is stored in the file; None for one that is computed."""
    raw = buffers[tensor.number(2, "<I", 0)].array(0, "u1")
    if raw.size == 0:
        return None
    kind = tensor.number(1, "<b", 0)
    if kind not in _TYPES:
        raise ValueError(f"number type {kind} is not known")
    shape = [int(side) for side in tensor.array(0, "<i4")]
    stored = np.frombuffer(raw.tobytes(), _TYPES[kind]).reshape(shape)
    budget.spend(nbytes=4 * stored.size)
    return torch.from_numpy(_dequantised(stored.astype(np.float64), tensor.table(4)).astype(np.float32))


def _dequantised(values: NDArray[np.float64], quantisation: _Table | None) -> NDArray[np.float64]:
    if quantisation is None:
        return values
    scale, zero = (quantisation.array(field, kind).astype(np.float64) for field, kind in ((2, "<f4"), (3, "<i8")))
    if scale.size == 0:
        return values
    if scale.size > 1:
        shape = [1] * values.ndim
        shape[quantisation.number(6, "<i", 0)] = -1
        if scale.size != values.shape[quantisation.number(6, "<i", 0)]:
            raise ValueError("it has other scales than channels")
        scale = scale.reshape(shape)
        zero = zero.reshape(shape) if zero.size > 1 else zero
    return (values - zero) * scale if zero.size else values * scale
