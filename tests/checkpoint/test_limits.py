"""Small files that claim much: refused before anything is allocated for it. What docs/limits.md promises is measured."""

import io
import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from mien.checkpoint import inspect_file, load_model, save_model
from mien.checkpoint.foreign.rosinality import tree_of
from mien.checkpoint.native import read_foreign
from mien.errors import CheckpointError, InputError
from mien.files import read_bytes, zip_directory_bytes
from mien.models.model import Model
from peak import peak
from toys import tiny, tiny_discriminator

_PAGE = Path(__file__).parent.parent.parent / "docs" / "limits.md"
_IMPORTS = "from pathlib import Path; import torch; from mien.checkpoint import inspect_file"


def _promised(kind: str) -> tuple[float, float]:
    """Megabytes, and bytes per byte of the file, of a row of the page."""
    row = next(line for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {kind}"))
    found = re.search(r"(\d+) MB \+ (\d+) times", row)
    assert found, row
    return float(found[1]), float(found[2])


def _assert_within(path: Path, kind: str, outcome: str) -> None:
    said, grown = peak(_IMPORTS, f"inspect_file(Path({str(path)!r}))")
    fixed, factor = _promised(kind)
    assert said == outcome
    assert grown < fixed * 1e6 + factor * path.stat().st_size


def header(**tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def entry(shape: object, span: object, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": span}


@pytest.mark.parametrize(
    "data",
    [
        header(a=entry([0, 2**63], [0, 0])),
        header(a=entry([2**62, 4], [0, 0])),
        header(a=entry([1], [0, 4])),
        header(a=entry([1], [0, 4])) + bytes(8),
        header(a=entry([1], [0, 4]), b=entry([1], [0, 4])) + bytes(4),
        header(a=entry([1], [4, 0])) + bytes(4),
        header(a=entry([-1], [0, -4])),
        header(a=entry([True], [0, 4])) + bytes(4),
        header(a=entry([1.0], [0, 4])) + bytes(4),
        header(a=entry("1", [0, 4])) + bytes(4),
        header(a=entry([1] * 100, [0, 4])) + bytes(4),
        header(a=entry([1], [0, 4], "F4096")) + bytes(4),
        header(a=entry([1], [0, 4], ["F32"])) + bytes(4),  # type: ignore[arg-type]
        header(a=[]),
        header(__metadata__={"mien": 3}),
        header(__metadata__=[1]),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        struct.pack("<Q", 9 << 20) + b" " * (9 << 20),
        struct.pack("<Q", 5000) + b"1" * 5000,
    ],
    ids=range(20),
)
def test_headers_of_safetensors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"m\.safetensors is not a readable safetensors file .*get it again\.$"):
        read_foreign(path)
    with pytest.raises(CheckpointError):
        inspect_file(path)


def test_views_of_one_memory_do_not_become_a_network(tmp_path: Path) -> None:
    """Half precision, all tensors views of one storage: a small file that would be large in memory."""
    memory = torch.zeros(600_000).half()
    tree, _ = tree_of(Model(tiny(32)))
    wide = {name: value.shape for name, value in tree["g_ema"].items()}
    for width in (8, 256):
        shapes = {name: [width if n == 8 else n for n in shape] for name, shape in wide.items()}
        views = {
            name: tree["g_ema"][name]
            if "kernel" in name or "noises" in name
            else memory[: torch.Size(shape).numel()].reshape(shape)
            for name, shape in shapes.items()
        }
        path = tmp_path / f"views{width}.pt"
        torch.save({"g_ema": {**tree["g_ema"], **views}}, path)
    assert path.stat().st_size < 1_400_000
    assert load_model(tmp_path / "views8.pt").resolution == 32  # sharing a little is no crime
    with pytest.raises(CheckpointError, match="claims more data than it holds"):
        load_model(path)
    _assert_within(path, "Model", "refused")


def test_what_a_file_does_not_need_is_not_read(tmp_path: Path) -> None:
    """Optimizer states and the like beside the weights cost no memory."""
    path = tmp_path / "m.pt"
    tree, _ = tree_of(Model(tiny(32), tiny_discriminator(32)))
    torch.save({**tree, "g_optim": {"state": torch.zeros(50_000_000)}}, path)
    said, grown = peak("from pathlib import Path; from mien.checkpoint import load_model", f"load_model(Path({str(path)!r}))")
    assert said == "done"
    assert grown < 150e6 < path.stat().st_size


def _pickle_of(operation: bytes, count: int) -> bytes:
    return b"\x80\x02" + operation * count + b"0" * (count - 1) + b"."


@pytest.mark.parametrize("operation", [b"]", b"}", b"\x8f", b")", b"K\x01\x85", b"N\x94"], ids=range(6))
def test_containers_by_the_million(tmp_path: Path, operation: bytes) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04" + operation * 3_000_000 + b".")
    _assert_within(path, "Model", "refused")


def test_a_nested_file_that_is_opened_again_and_again(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}", b"")
    call = b"c" + b"torch.storage\n_load_from_bytes\n"
    data = b"\x80\x02B" + struct.pack("<I", len(inner.getvalue())) + inner.getvalue() + b"q\x000" + call + b"q\x010"
    data += b"h\x01h\x00\x85R0" * 100_000 + b"N."
    path = tmp_path / "m.pkl"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        inspect_file(path)


def test_zips_of_millions_of_members(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(90_000):
            archive.writestr(f"{number:06d}", b"")
    with path.open("rb") as file:
        assert zip_directory_bytes(file) == 90_000 * (46 + 6)
    with pytest.raises(CheckpointError, match="more parts than weights have"):
        inspect_file(path)


@pytest.mark.skipif(os.name != "posix", reason="devices and pipes of POSIX")
def test_endless_inputs(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path("/dev/zero"), pipe):
        for reader in (load_model, inspect_file):
            with pytest.raises(CheckpointError, match="device or a pipe"):
                reader(path)
        with pytest.raises(InputError, match="device or a pipe"):
            read_bytes(path, 1000)


def test_files_beyond_the_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.write(pickle.dumps({}))
        file.truncate(5 << 30)  # takes no room on the disk
    with pytest.raises(CheckpointError, match="larger than the 4 GiB"):
        inspect_file(path)


@pytest.mark.parametrize("name", ["z_dim", "w_dim"])
def test_sizes_that_no_network_has(tmp_path: Path, name: str) -> None:
    """Ten thousand codes are mapped where a file has no mean code: one must not be a million numbers long."""
    tree, _ = tree_of(Model(tiny(32)))
    g = tree["g_ema"]
    g["style.1.weight"] = torch.zeros(16, 100_000) if name == "z_dim" else torch.zeros(100_000, 16)
    if name == "w_dim":
        g["conv1.conv.modulation.weight"] = torch.zeros(8, 100_000)
    torch.save({"g_ema": g}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=f"{name} 100000"):
        load_model(tmp_path / "m.pt")


def test_saving_to_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(tree: object, path: Path) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1024 vs 918")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(CheckpointError, match=r"cannot be written .*free some space"):
        save_model(tmp_path / "m.pt", Model(tiny(32)))
    assert list(tmp_path.iterdir()) == []
