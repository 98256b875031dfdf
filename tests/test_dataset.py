"""Training pictures: found, cropped, weighted, mirrored; what cannot be used is named."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.errors import InputError
from mien.media.dataset import load_dataset


def png(colour: tuple[int, ...], size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


GOOD = {"a/red.png": png((255, 0, 0)), "b/deep/green.png": png((0, 255, 0)), "blue.png": png((0, 0, 255))}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_reads_nested_folders_and_zips(tmp_path: Path, kind: str) -> None:
    path = fill(tmp_path / "data", GOOD)
    if kind == "zip":
        path = tmp_path / "data.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in GOOD.items():
                archive.writestr(name, data)
            archive.writestr("__MACOSX/._red.png", b"x")
            archive.writestr("readme.txt", b"x")
    data = load_dataset(path, 8)
    assert data.names == ["a/red.png", "b/deep/green.png", "blue.png"]
    assert data.pixels.shape == (3, 3, 8, 8)
    assert data.pixels[0, :, 0, 0].tolist() == [255, 0, 0]
    assert not data.dropped
    batch = data.batch(5, generator())
    assert batch.shape == (5, 3, 8, 8)
    assert batch.dtype == torch.float32
    assert set(batch.unique().tolist()) <= {-1.0, 1.0}


def test_broken_files_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    files = {**GOOD, "empty.png": b"", "cut.png": GOOD["a/red.png"][:40], "text.jpg": b"no picture at all"}
    data = load_dataset(fill(tmp_path, files), 8)
    assert len(data) == 3
    assert set(data.dropped) == {"empty.png", "cut.png", "text.jpg"}
    assert all(name in data.report() and why in data.report() for name, why in data.dropped.items())


def test_a_broken_member_of_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in GOOD.items():
            archive.writestr(name, data)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(GOOD["blue.png"], GOOD["blue.png"][:-20] + b"x" * 20, 1))  # the CRC no longer fits
    data = load_dataset(path, 8)
    assert list(data.dropped) == ["blue.png"]


@pytest.mark.parametrize(
    ("files", "word"), [({}, "holds no pictures"), ({"a.txt": b"x"}, "holds no pictures"), ({"a.png": b"x"}, "None of the 1")]
)
def test_nothing_left_is_refused(tmp_path: Path, files: dict[str, bytes], word: str) -> None:
    with pytest.raises(InputError, match=word):
        load_dataset(fill(tmp_path, files), 8)


def test_missing_and_foreign_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        load_dataset(tmp_path / "nowhere", 8)
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="neither a folder nor a readable zip"):
        load_dataset(tmp_path / "x.zip", 8)


def test_the_middle_square_is_taken_and_counted(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    data = load_dataset(fill(tmp_path, {"wide.png": buffer.getvalue(), "small.png": png((9, 9, 9), (4, 4))}), 8)
    assert (data.cropped, data.enlarged) == (1, 1)
    assert data.pixels[data.names.index("wide.png")].unique().tolist() == [200]


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    data = load_dataset(fill(tmp_path, {"a.png": png((10, 20, 30, 0), mode="RGBA")}), 8)
    assert data.pixels.unique().tolist() == [255]


def test_large_pictures_are_resized_without_aliasing(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    buffer = io.BytesIO()
    Image.fromarray(stripes).save(buffer, "PNG")
    data = load_dataset(fill(tmp_path, {"a.png": buffer.getvalue()}), 8)
    assert data.pixels.float().sub(127.5).abs().max() < 20


def test_folder_weights_are_relative_probabilities(tmp_path: Path) -> None:
    data = load_dataset(fill(tmp_path, GOOD), 8, folder_weights={"a": 3.0, "b": 0.0})
    reds = (data.batch(4000, generator())[:, 0, 0, 0] > 0).float().mean().item()
    greens = (data.batch(4000, generator())[:, 1, 0, 0] > 0).float().mean().item()
    assert reds == pytest.approx(0.75, abs=0.03)
    assert greens == 0.0


@pytest.mark.parametrize(
    ("weights", "word"), [({"c": 1.0}, "no folder 'c'"), ({"a": -1.0}, "weight of the folder 'a'"), ({"a": 0.0}, "weight 0")]
)
def test_wrong_weights_are_refused(tmp_path: Path, weights: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        load_dataset(fill(tmp_path, {"a/red.png": GOOD["a/red.png"]}), 8, folder_weights=weights)


def test_mirror_flips_half_of_the_pictures(tmp_path: Path) -> None:
    half = np.zeros((8, 8, 3), np.uint8)
    half[:, :4] = 255
    buffer = io.BytesIO()
    Image.fromarray(half).save(buffer, "PNG")
    data = load_dataset(fill(tmp_path, {"a.png": buffer.getvalue()}), 8)
    left = (data.batch(1000, generator())[:, 0, 0, 0] > 0).float().mean().item()
    assert left == pytest.approx(0.5, abs=0.06)
    assert (data.batch(100, generator(), mirror=False)[:, 0, 0, 0] > 0).all()


def test_the_same_generator_state_draws_the_same_batch(tmp_path: Path) -> None:
    data = load_dataset(fill(tmp_path, GOOD), 8)
    assert torch.equal(data.batch(6, generator()), data.batch(6, generator()))
