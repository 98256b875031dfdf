"""What docs/limits.md promises of styles, states, zips and texts, each in a process that gets no more than that."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import torch

from mien.checkpoint.state import write_state
from mien.checkpoint.style_file import StyleFile
from peak import peak

_PAGE = Path(__file__).parent.parent / "docs" / "limits.md"
_MIB = 1 << 20


def _promised(kind: str, size: int) -> float:
    """Bytes that the row of `kind` allows for a file of `size` bytes."""
    row = next(line for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {kind}"))
    found = re.search(r"(\d+) MB(?: \+ (\d+) times)?[^|]*\|$", row)
    assert found, row
    return int(found[1]) * 1e6 + int(found[2] or 0) * size


def _assert_within(kind: str, size: int, imports: str, work: str, outcome: str = "done") -> None:
    most = _promised(kind, size)
    said, grown = peak(imports, work, most=most)
    assert said == outcome
    assert grown < most


def test_styles(tmp_path: Path) -> None:
    deltas = {f"b4.conv{i}.weight": torch.ones(512, 512, 3, 3, dtype=torch.float16) for i in range(6)}
    path = tmp_path / "s.safetensors"
    StyleFile("s", "0" * 16, 64, deltas, torch.zeros(3, 96, 96, dtype=torch.uint8), {}).save(path)
    imports = "from pathlib import Path; import torch; from mien.checkpoint.style_file import StyleFile"
    _assert_within("Style", path.stat().st_size, imports, f"StyleFile.read(Path({str(path)!r}))")


def test_training_states(tmp_path: Path) -> None:
    write_state(tmp_path, {"a": torch.ones(20 * _MIB)}, {}, part_bytes=8 * _MIB)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    imports = "from pathlib import Path; import torch; from mien.checkpoint.state import read_state"
    _assert_within("Training state", size, imports, f"read_state(Path({str(tmp_path)!r}))")


def test_zips_of_many_images(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(150_000):
            archive.writestr(f"{number:06d}.png", b"")
    names = 150_000 * (46 + 10)
    work = f"list(read_images(Path({str(path)!r})))"
    _assert_within("Zip of images", names, "from pathlib import Path; from mien.media.collection import read_images", work)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"[a{i:x}]\n" for i in range(30_000)),
        "".join(f"a{i}.{'.'.join('b' * 100)}=1\n" for i in range(1200)),
        f"a=[{'{},' * 80_000}]",
        f"a={'[' * 120_000}",
        "a = 1\n" * 100_000,
    ],
    ids=["tables", "deep names", "tables in a list", "deep lists", "too large"],
)
def test_configurations(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert len(text) < 256 << 10 or text.startswith("a = 1")
    imports = "from pathlib import Path; from mien.config import from_toml; from mien.training.config import TrainConfig"
    work = f"from_toml(TrainConfig, Path({str(path)!r}))"
    _assert_within("Configuration", len(text), imports, work, outcome="refused")


@pytest.mark.parametrize("part", ["[],", "{},", '"",', "0.1,", "[[[]]],", '{"a":{}},'])
def test_json(tmp_path: Path, part: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(f"[{part * (4 * _MIB // len(part))}0]")
    json.loads(path.read_text())
    imports = "from pathlib import Path; from mien.files import parse_json, read_text"
    work = f"parse_json(read_text(Path({str(path)!r})), Path('x'))"
    _assert_within("List of landmarks, JSON", path.stat().st_size, imports, work)
