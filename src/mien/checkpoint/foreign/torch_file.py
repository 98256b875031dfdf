"""The three containers that pickled weights come in: torch's zip files, torch's older stream, and plain pickles (NVIDIA).

Zip: `<name>/data.pkl` refers to `<name>/data/<key>`, uncompressed. Stream (before torch 1.6): five pickles (a magic number, the
protocol, the machine, the data, the keys), then for each key its length and its bytes. All of them go through `unpickle`.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch

from mien.checkpoint.foreign.limits import MOST_BYTES, Budget, DamagedError, RefusedError
from mien.checkpoint.foreign.pickled_values import Context, Storage, storage_type
from mien.checkpoint.foreign.unpickle import Stream, interpret
from mien.errors import CheckpointError, shown
from mien.files import check_regular, zip_directory_bytes

ZIP_START = b"PK\x03\x04"
_MOST_DIRECTORY = 4 << 20  # bytes of a zip's list of parts; a training state has about 200,000
_MAGIC = 0x1950A86A20F9469CFC6C
STREAM_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LOCAL_HEADER = struct.Struct("<4s22xHH")


def read_tree(path: Path) -> Any:
    """Everything in a torch file or plain pickle as plain data, tensors and Records; nothing in it is executed.

    Tensors of a zip file are views of the mapped file: what nobody uses is not read. Raises `CheckpointError` with one
    sentence for a file that is damaged, is no such file, asks for more than data, or claims more than `limits` allow.
    """
    if check_regular(path, CheckpointError) > MOST_BYTES:
        raise CheckpointError(f"{path} is larger than the {MOST_BYTES >> 30} GiB that are read: it is not a weights file.")
    try:
        with path.open("rb") as file:
            # A private copy on write, so that torch may view it; it is unmapped with the last tensor.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            # The old kind of file is copied once, and a numpy array or a text is never larger than its pickle.
            return _read(data, file, Context(Budget(2 * len(data) + 2**20), _read_nested))
    except (DamagedError, RefusedError) as error:
        raise CheckpointError(f"{path} {error}.") from error
    except MemoryError as error:
        raise CheckpointError(f"{path} does not fit into memory.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error


def _read_nested(data: bytes, context: Context) -> Any:
    return _read(data, io.BytesIO(data), context)


def _read(data: mmap.mmap | bytes, file: BinaryIO, context: Context) -> Any:
    start = data[: len(STREAM_START)]
    if start.startswith(ZIP_START):
        return _read_zip(data, file, context)
    if start == STREAM_START:
        return _read_stream(data, file, context)
    # A plain pickle: from the mapping, since reading a claimed length from a mapping never allocates more than there is.
    return interpret(cast(Stream, data) if isinstance(data, mmap.mmap) else file, context)


def _tensor_1d(data: mmap.mmap | bytes, offset: int, count: int, dtype: torch.dtype, context: Context) -> torch.Tensor:
    """`count` numbers at `offset`: a view of the mapped file, or a copy where that cannot be."""
    nbytes = count * dtype.itemsize
    if offset + nbytes > len(data):
        raise DamagedError("is cut off: download it again")
    if count == 0:
        return torch.empty(0, dtype=dtype)
    if isinstance(data, mmap.mmap) and offset % dtype.itemsize == 0:
        return torch.from_numpy(np.frombuffer(data, np.uint8))[offset : offset + nbytes].view(dtype)
    context.budget.spend(nbytes=nbytes)
    return torch.from_numpy(np.frombuffer(data, np.uint8, nbytes, offset).copy()).view(dtype)


def _reference(pid: Any) -> tuple[torch.dtype, str, int]:
    """Type, key and number of elements of a reference to a storage."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage" or not isinstance(pid[2], str):
        raise RefusedError("refers to data that is not a tensor")
    if not isinstance(pid[4], int) or not 0 <= pid[4] < 2**48:
        raise DamagedError("is damaged (a tensor of impossible size)")
    if len(pid) == 6 and pid[5] is not None:
        raise RefusedError("was written by a torch older than 0.4: open and save it with a newer one")
    return storage_type(pid[1]), pid[2], pid[4]


def _read_stream(data: mmap.mmap | bytes, file: BinaryIO, context: Context) -> Any:
    stream = cast(Stream, data) if isinstance(data, mmap.mmap) else file
    storages: dict[str, Storage] = {}
    counts: dict[str, int] = {}

    def persistent(pid: Any) -> Storage:
        dtype, key, count = _reference(pid)
        if key not in storages:
            # The numbers follow the pickle; only the memory is laid out here.
            nbytes = count * dtype.itemsize
            if nbytes > len(data):
                raise DamagedError("is cut off: download it again")
            context.budget.spend(nbytes=nbytes)
            storages[key], counts[key] = Storage(torch.empty(count, dtype=dtype)), count
        return storages[key]

    if interpret(stream, context) != _MAGIC or interpret(stream, context) != 1001:
        raise DamagedError("is not a torch file of a known version")
    machine = interpret(stream, context)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise RefusedError("was written on a big-endian machine")
    tree = interpret(stream, context, persistent)
    keys = interpret(stream, context)
    named = isinstance(keys, list) and len(keys) == len(storages) and all(isinstance(key, str) for key in keys)
    if not named or set(keys) != set(storages):
        raise DamagedError("is damaged (its list of tensors does not fit)")
    position = stream.tell()
    for key in keys:
        storage = storages[key].values
        if position + 8 > len(data) or struct.unpack("<q", data[position : position + 8])[0] != counts[key]:
            raise DamagedError("is cut off: download it again")
        nbytes = counts[key] * storage.itemsize
        if position + 8 + nbytes > len(data):
            raise DamagedError("is cut off: download it again")
        if nbytes:
            storage.view(torch.uint8).numpy()[:] = np.frombuffer(data, np.uint8, nbytes, position + 8)
        position += 8 + nbytes
    return tree.values if isinstance(tree, Storage) and context.depth == 0 else tree


def _read_zip(data: mmap.mmap | bytes, file: BinaryIO, context: Context) -> Any:
    if zip_directory_bytes(file) > _MOST_DIRECTORY:
        raise RefusedError("is a zip archive of more parts than weights have")
    try:
        entries = {info.filename: info for info in zipfile.ZipFile(file).infolist()}
        context.budget.spend(operations=len(entries))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise DamagedError("is a zip file that was cut off or damaged: download it again") from error
    roots = [name[: -len("data.pkl")] for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if any(name.endswith("constants.pkl") for name in entries):
        raise RefusedError("is a TorchScript program, not weights: export its state dict instead")
    if len(roots) != 1:
        raise RefusedError("is a zip archive, but not one of weights")

    def position(name: str) -> tuple[int, int]:
        """Where an entry's bytes start, and how many there are."""
        info = entries.get(roots[0] + name)
        if info is None:
            raise DamagedError(f"is damaged (it lacks its part {shown(name, 40)})")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise RefusedError("is a compressed zip archive, not a torch file")
        header = data[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size or header[:4] != ZIP_START:
            raise DamagedError("is a damaged zip file: download it again")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        if start + info.file_size > len(data):
            raise DamagedError("is cut off: download it again")
        return start, info.file_size

    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        dtype, key, count = _reference(pid)
        if key not in storages:
            start, length = position(f"data/{key}")
            if length != count * dtype.itemsize:
                raise DamagedError("is damaged (a tensor of another size than its data)")
            storages[key] = Storage(_tensor_1d(data, start, count, dtype, context))
        return storages[key]

    if roots[0] + "byteorder" in entries:
        start, length = position("byteorder")
        if data[start : start + length].strip() != b"little":
            raise RefusedError("was written on a big-endian machine")
    start, length = position("data.pkl")
    context.budget.spend(nbytes=length)
    return interpret(io.BytesIO(data[start : start + length]), context, persistent)
