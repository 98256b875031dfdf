"""States in parts: whole, checked, replaced in one step, whatever happens to the writer."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mien import files
from mien.checkpoint.state import has_state, read_state, write_state
from mien.errors import CheckpointError, InputError


def tensors(seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {"a.x": torch.randn(100, 7, generator=g), "a.step": torch.tensor(3.0), "b": torch.arange(5)}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.parametrize("part_bytes", [None, 1024, 1_000_000])
def test_round_trip_in_parts_below_the_size(tmp_path: Path, part_bytes: int | None) -> None:
    assert not has_state(tmp_path)
    write_state(tmp_path, tensors(), {"steps": 3}, part_bytes=part_bytes)
    assert has_state(tmp_path)
    found, document = read_state(tmp_path)
    assert same(found, tensors())
    assert document == {"steps": 3}
    parts = list(tmp_path.glob("*.part"))
    assert (len(parts) > 1) == (part_bytes == 1024)
    assert all(p.stat().st_size <= (part_bytes or 1 << 40) for p in parts)


def test_a_new_state_replaces_the_old_one_and_leaves_nothing(tmp_path: Path) -> None:
    write_state(tmp_path, tensors(0), {"steps": 1}, part_bytes=1024)
    (tmp_path / ".state-0123.part.abc").write_bytes(b"left by a killed writer")
    write_state(tmp_path, tensors(1), {"steps": 2})
    assert same(read_state(tmp_path)[0], tensors(1))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3])
def test_a_writer_that_dies_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
    write_state(tmp_path, tensors(0), {"steps": 1}, part_bytes=1024)
    calls = 0
    original = files.os.replace

    def replace(source: str, target: Path) -> None:
        nonlocal calls
        if calls == dies_at:
            raise OSError(28, "No space left on device")
        calls += 1
        original(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(CheckpointError, match="No space"):
        write_state(tmp_path, tensors(1), {"steps": 2}, part_bytes=1024)
    assert same(read_state(tmp_path)[0], tensors(0))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_damaged_parts_are_refused_by_name(tmp_path: Path, damage: str) -> None:
    write_state(tmp_path, tensors(), {}, part_bytes=1024)
    part = sorted(tmp_path.glob("*.part"))[0]
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(data if damage == "flip" else data[:50])
    with pytest.raises(CheckpointError, match=part.name):
        read_state(tmp_path)


def test_hostile_and_foreign_indexes_are_refused(tmp_path: Path) -> None:
    write_state(tmp_path, tensors(), {})
    path = tmp_path / "state.json"
    index = json.loads(path.read_text())
    index["parts"][0]["name"] = "../../etc/passwd"
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="hostile"):
        read_state(tmp_path)
    path.write_text(json.dumps({**index, "version": 9}))
    with pytest.raises(CheckpointError, match="version"):
        read_state(tmp_path)
    for text in ("", "[]", '{"version": 1}'):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"not a readable index|not readable as JSON"):
            read_state(tmp_path)


def test_tiny_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1024"):
        write_state(tmp_path, tensors(), {}, part_bytes=10)


def test_a_part_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path, {"a": torch.zeros(4096)}, {}, part_bytes=1024)
    assert len(list(tmp_path.glob("*.part"))) > 16, "equal parts are as many files"
    index = json.loads((tmp_path / "state.json").read_text())
    index["parts"].append(index["parts"][0])
    (tmp_path / "state.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="claims more than a state has"):
        read_state(tmp_path)
