"""Reading networks of the ncnn format as data: a text of layers (.param) and their numbers (.bin).

Only what plain chains of convolutions need is read: the layers that hold numbers, in order, with the shapes that the text gives
them. Every count is checked against the length of the file, and nothing is executed. The format is that of ncnn's documentation
("param and model file structure"): a convolution's weights come after a four-byte tag, all other numbers are bare float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.checkpoint.foreign.limits import DamagedError
from mien.errors import CheckpointError, shown

_MAGIC = "7767517"
_MOST_TEXT, _MOST_NUMBERS = 1 << 20, 1 << 28  # bytes
_HALF, _SINGLE = 0x01306B47, 0  # tags before weights in float16 and float32
# Keys of a layer's settings: channels of the result, side of the kernel, whether there is a bias, how many weights.
_OUTPUTS, _KERNEL, _BIAS, _WEIGHTS = "0", "1", "5", "6"


@dataclass(frozen=True)
class NcnnLayer:
    """A layer with numbers: its kind (`Convolution` or `PReLU`), weights, and bias where there is one; all float32."""

    kind: str
    weight: Tensor
    """Convolution: [out, in, k, k]; PReLU: [channels], the slopes."""
    bias: Tensor | None = None


def read_ncnn(text: Path, numbers: Path) -> list[NcnnLayer]:
    """The layers of a network that hold numbers, in the order in which they act.

    Raises `CheckpointError` with one sentence for files that are of another kind, damaged, cut off or too long.
    """
    try:
        lines = _read(text, _MOST_TEXT).decode("ascii").splitlines()
        return _layers(lines, _read(numbers, _MOST_NUMBERS))
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read ({error.strerror}): check the name.") from error
    except (DamagedError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{text.name} and {numbers.name} are not an ncnn network ({shown(error)}): get them again."
        ) from error


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedError(f"longer than {most >> 20} MiB")
    return data


def _layers(lines: list[str], numbers: bytes) -> list[NcnnLayer]:
    if not lines or lines[0].strip() != _MAGIC:
        raise DamagedError("the first line is another")
    reader, found = _Reader(numbers), []
    for line in lines[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        settings = dict(entry.split("=", 1) for entry in rest[int(inputs) + int(outputs) :])
        if kind == "Convolution":
            count, kernel, channels = (int(settings[key]) for key in (_WEIGHTS, _KERNEL, _OUTPUTS))
            if min(count, kernel, channels) < 1 or count % (channels * kernel * kernel):
                raise DamagedError(f"{count} weights for {channels} channels")
            weight = reader.tagged(count).reshape(channels, -1, kernel, kernel)
            found.append(NcnnLayer(kind, weight, reader.bare(channels) if settings.get(_BIAS) == "1" else None))
        elif kind == "PReLU":
            found.append(NcnnLayer(kind, reader.bare(int(settings[_OUTPUTS]))))
    reader.end()
    if not found:
        raise DamagedError("no layer has numbers")
    return found


class _Reader:
    """Numbers one after another, none beyond the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def _take(self, count: int, dtype: str, width: int) -> Tensor:
        if count < 0 or count * width > len(self.data) - self.at:
            raise DamagedError("cut off")
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += count * width
        return torch.from_numpy(values.astype(np.float32))

    def bare(self, count: int) -> Tensor:
        return self._take(count, "<f4", 4)

    def tagged(self, count: int) -> Tensor:
        tag = int.from_bytes(self.data[self.at : self.at + 4], "little")
        self.at += 4
        if tag == _SINGLE:
            return self.bare(count)
        if tag != _HALF:
            raise DamagedError(f"weights of an unknown type {tag:#x}")
        values = self._take(count, "<f2", 2)
        self.at += -2 * count % 4  # what follows starts at a whole word
        return values

    def end(self) -> None:
        if self.at != len(self.data):
            raise DamagedError(f"{len(self.data) - self.at} bytes are left over")
