"""The examples run, as they are, and each fits a screen."""

import runpy
import shutil
from pathlib import Path

import pytest
import torch

from mien.media.images import read_image

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *words: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [name, *map(str, words)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*_in_50_lines.py")), ids=lambda path: path.stem)
def test_a_method_takes_at_most_fifty_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 50


@pytest.mark.slow
def test_jojogan_moves_a_face_towards_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "before.png", tmp_path / "after.png"]
    for file, steps in zip(files, (0, 4), strict=True):
        run("jojogan_in_50_lines.py", EXAMPLES / "comic.png", EXAMPLES / "portrait.png", file, steps, monkeypatch=monkeypatch)
    before, after = (read_image(file).rgb() for file in files)
    reference = read_image(EXAMPLES / "comic.png").rgb().mean(dim=(1, 2))
    gaps = [float((face.mean(dim=(1, 2)) - reference).abs().mean()) for face in (before, after)]
    assert gaps[1] < gaps[0], gaps


@pytest.mark.slow
def test_freezesg_trains_and_draws_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cartoons").mkdir()
    for name in ("ink", "comic"):
        shutil.copy(EXAMPLES / f"{name}.png", tmp_path / "cartoons")
    run("freezesg_in_50_lines.py", tmp_path / "cartoons", tmp_path / "pairs.png", 1, monkeypatch=monkeypatch)
    above, below = read_image(tmp_path / "pairs.png").rgb().chunk(2, dim=1)
    assert above.shape[2] == 4 * above.shape[1]
    assert not torch.equal(above, below)
