"""Numbers on the faces of a photo are those that `face` takes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.cli.app import shell
from mien.faces.align import CropFrame
from mien.faces.numbered import draw_numbers

_FACE = Path(__file__).parents[2] / "examples" / "face.png"


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces, the larger one on the right."""
    face, canvas = Image.open(_FACE).convert("RGB"), Image.new("RGB", (900, 500), "gray")
    canvas.paste(face.resize((220, 220)), (40, 100))
    canvas.paste(face.resize((420, 420)), (420, 40))
    path = tmp_path_factory.mktemp("group") / "group.png"
    canvas.save(path)
    return path


def test_the_command_numbers_faces_as_face_counts_them(group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(["faces", str(group), "-o", str(tmp_path / "numbered.png"), "--json"]) == 0
    (written,) = json.loads(capsys.readouterr().out)["written"]
    assert [entry["face"] for entry in written["faces"]] == [1, 2]
    for number in (1, 2):
        frame = mien.align_faces(group, mien.AlignConfig(face=number))[0].frame
        x, y, side = written["faces"][number - 1]["box"]
        assert (x + side / 2, y + side / 2, side) == pytest.approx((*frame.center, frame.side), abs=1.0)
    assert written["faces"][0]["box"][0] > 400 > written["faces"][1]["box"][0]
    assert Image.open(tmp_path / "numbered.png").size == (900, 500)


def test_python_draws_the_same(group: Path, tmp_path: Path) -> None:
    shell(["faces", str(group), "-o", str(tmp_path / "numbered.png"), "--quiet"])
    assert (np.asarray(mien.faces.number_faces(group)) == np.asarray(Image.open(tmp_path / "numbered.png"))).all()


def test_every_number_is_inside_the_image_and_the_photo_is_not_changed() -> None:
    photo = Image.new("RGB", (300, 200), "#808080")
    frames = [CropFrame((-20.0, -20.0), 60.0, 10.0), CropFrame((310.0, 210.0), 80.0, 0.0)]
    drawn = np.asarray(draw_numbers(photo, frames)).astype(int)
    assert (drawn[:40, :40] > 200).any(), "a white number on dark, in the upper left"
    assert (drawn[150:, 240:] > 200).any()
    assert (np.asarray(photo) == 128).all()
    assert (drawn[80:120, 100:200] == 128).all(), "nothing is drawn where no face is"
