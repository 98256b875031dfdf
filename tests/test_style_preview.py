"""What weights files look like: in Python, as a file, and in a terminal."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.cli.app import shell
from mien.cli.terminal_image import half_blocks
from mien.errors import CheckpointError, InputError
from mien.shipped import IDENTITY
from toys import toy_batch


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_batch(tmp_path_factory.mktemp("previews"), photos=1)


def test_of_a_style_its_references_and_of_a_model_faces(desk: Path) -> None:
    style = mien.Style.load(desk / "toy.safetensors")
    assert (np.asarray(mien.styles.preview(desk / "toy.safetensors")) == style.thumbnail.permute(1, 2, 0).numpy()).all()
    faces = mien.styles.preview(desk / "model.safetensors")
    assert faces.size == (128, 32)
    assert (np.asarray(faces) == np.asarray(mien.styles.preview(desk / "model.safetensors"))).all()
    mien.save_model(desk / "model.pt", mien.load_model(desk / "model.safetensors"))
    assert mien.styles.preview(desk / "model.pt").size == (128, 32)


def test_what_draws_nothing_has_no_preview(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="draws nothing"):
        mien.styles.preview(IDENTITY)
    (tmp_path / "x.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError):
        mien.styles.preview(tmp_path / "x.pt")


def test_the_command_writes_it(desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(["inspect", str(desk / "toy.safetensors"), "-o", str(tmp_path / "p.png")]) == 0
    assert Image.open(tmp_path / "p.png").size == (96, 96)
    assert "\x1b" not in capsys.readouterr().out, "no colors where nobody sees them"
    assert shell(["inspect", str(desk / "toy.safetensors"), "-o", str(tmp_path / "p.png")]) == 2
    assert shell(["inspect", "ink", "toon", "-o", str(tmp_path / "q.png")]) == 2


def test_a_terminal_that_can_shows_it(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLORTERM", "truecolor")
    for variable, shown in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", variable)
        monkeypatch.setattr(sys, "stdout", Terminal())
        assert shell(["inspect", str(desk / "toy.safetensors")]) == 0
        assert ("\u2580" in sys.stdout.getvalue()) == shown  # type: ignore[attr-defined]


def test_half_blocks_are_two_pixels_each() -> None:
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], np.uint8))
    (line,) = half_blocks(image, columns=2)
    assert line == "\x1b[38;2;255;0;0;48;2;0;0;255m\u2580\x1b[38;2;0;255;0;48;2;9;8;7m\u2580\x1b[0m"
    assert len(half_blocks(Image.new("RGB", (1000, 1000)))) == 12
