"""Networks in the ncnn format: read as the original program reads them, and refused where they are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.checkpoint.foreign.ncnn import read_ncnn
from mien.checkpoint.upscaler_weights import read_upscaler
from mien.errors import CheckpointError

_TEXT = """7767517
3 3
Input in 0 1 data
Convolution first 1 1 data a 0=2 1=3 4=1 5=1 6=54
PReLU second 1 1 a b 0=2
Convolution third 1 1 b out 0=1 1=1 5=0 6=2
"""
_HALF = struct.pack("<I", 0x01306B47)


def _numbers() -> bytes:
    first = np.arange(54, dtype=np.float16).tobytes()  # 108 bytes: whole words
    third = np.array([0.25, -2], np.float32).tobytes()
    return (
        _HALF + first + np.array([1, -1], np.float32).tobytes() + np.array([0.1, 0.2], np.float32).tobytes() + bytes(4) + third
    )


def _files(folder: Path, text: str = _TEXT, numbers: bytes | None = None) -> tuple[Path, Path]:
    (folder / "n.param").write_text(text)
    (folder / "n.bin").write_bytes(_numbers() if numbers is None else numbers)
    return folder / "n.param", folder / "n.bin"


def test_layers_with_numbers_come_in_order(tmp_path: Path) -> None:
    first, second, third = read_ncnn(*_files(tmp_path))
    assert [layer.kind for layer in (first, second, third)] == ["Convolution", "PReLU", "Convolution"]
    assert first.weight.shape == (2, 3, 3, 3)
    assert torch.equal(first.weight.flatten(), torch.arange(54.0))
    assert first.bias is not None
    assert first.bias.tolist() == [1, -1]
    assert second.weight.tolist() == pytest.approx([0.1, 0.2])
    assert third.weight.flatten().tolist() == [0.25, -2]
    assert third.bias is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", None),
        ("hello\n", None),
        ("7767517\n1 1\nInput in 0 1 data\n", b""),
        (_TEXT, _numbers()[:-1]),
        (_TEXT, _numbers() + b"\0"),
        (_TEXT, b"\1\2\3\4" + _numbers()[4:]),
        (_TEXT.replace("6=54", "6=55"), None),
        (_TEXT.replace("6=54", "6=-54"), None),
        (_TEXT.replace("6=54", "6=5400000000000000000000"), None),
        (_TEXT.replace("1=3", "1=0"), None),
        (_TEXT.replace("0=2 1=3", "1=3"), None),
        (_TEXT.replace("1 1 data a", "one 1 data a"), None),
        (_TEXT.replace("first 1 1 data a 0=2", "first"), None),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, text: str, numbers: bytes | None) -> None:
    with pytest.raises(CheckpointError, match="get them again") as error:
        read_ncnn(*_files(tmp_path, text, numbers))
    assert "\n" not in str(error.value)


def test_absent_files_and_other_networks_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_ncnn(tmp_path / "no.param", tmp_path / "no.bin")
    for file, name in zip(_files(tmp_path), ("param", "bin"), strict=True):
        file.rename(tmp_path / f"REALESRGAN_ANIMAVIDEOV3_UP4X.{name}")
    with pytest.raises(CheckpointError, match="does not fit"):
        read_upscaler(tmp_path)
