"""Training images: found, cropped, weighted, mirrored; what cannot be used is named."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien import runtime
from mien.errors import InputError
from mien.media import pixel_store
from mien.media.image_dataset import load_dataset


def png(color: tuple[int, ...], size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
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
    files = {**GOOD, "empty.png": b"", "cut.png": GOOD["a/red.png"][:40], "text.jpg": b"no image at all"}
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
    ("files", "word"), [({}, "holds no images"), ({"a.txt": b"x"}, "holds no images"), ({"a.png": b"x"}, "None of the 1")]
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


def test_transparent_images_lie_on_white(tmp_path: Path) -> None:
    data = load_dataset(fill(tmp_path, {"a.png": png((10, 20, 30, 0), mode="RGBA")}), 8)
    assert data.pixels.unique().tolist() == [255]


def test_large_images_are_resized_without_aliasing(tmp_path: Path) -> None:
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


def test_mirror_flips_half_of_the_images(tmp_path: Path) -> None:
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


# --- more images than memory --------------------------------------------------------------------------------------------


def many(folder: Path) -> Path:
    for index in range(12):
        noise = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "PNG")
        fill(folder, {f"{'ab'[index % 2]}/{index}.png": buffer.getvalue() if index != 5 else b"broken"})
    return folder


def test_batches_from_a_file_are_those_from_memory_bit_for_bit(tmp_path: Path) -> None:
    path, cache = many(tmp_path / "in"), tmp_path / "cache"
    cache.mkdir()
    memory = load_dataset(path, 16, folder_weights={"a": 3.0})
    mapped = load_dataset(path, 16, folder_weights={"a": 3.0}, memory_share=0.0, folder=cache)
    assert (memory.in_file, mapped.in_file) == (False, True)
    assert torch.equal(memory.pixels, mapped.pixels)
    assert memory.digest() == mapped.digest()
    assert list(mapped.dropped) == ["b/5.png"]
    first, second = generator(), generator()
    for mirror in (True, False):
        assert torch.equal(memory.batch(32, first, mirror=mirror), mapped.batch(32, second, mirror=mirror))
    assert "lie in a file" in mapped.report()
    assert "lie in a file" not in memory.report()
    assert not list(cache.iterdir()), "the file has no name, so nothing can be left behind"


def test_the_file_is_used_where_the_images_need_more_than_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, need = many(tmp_path), 12 * 3 * 16 * 16
    for free, share, expected in ((2 * need, 0.5, False), (2 * need - 1, 0.5, True), (need, 1.0, False), (None, 0.0, False)):
        monkeypatch.setattr(pixel_store, "free_memory", lambda free=free: free)
        assert load_dataset(path, 16, memory_share=share).in_file is expected


def test_the_pixels_are_not_in_memory(tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs Linux to look")
    mapped = load_dataset(many(tmp_path), 16, memory_share=0.0, folder=tmp_path)
    address = mapped.pixels.data_ptr()
    lines = [line for line in maps.read_text().splitlines() if f"{tmp_path}/" in line and line.endswith("(deleted)")]
    ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
    assert any(first <= address < last for first, last in ranges)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    many(tmp_path)
    monkeypatch.setattr(pixel_store.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(InputError, match="No space left"):
        load_dataset(tmp_path, 16, memory_share=0.0)
    monkeypatch.undo()
    with pytest.raises(InputError, match="does not take them"):
        load_dataset(tmp_path, 16, memory_share=0.0, folder=tmp_path / "a" / "0.png")
    assert load_dataset(tmp_path, 16, memory_share=0.0, folder=tmp_path / "new").in_file


def test_free_memory_knows_the_limit_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/proc/meminfo": "MemTotal: 8 kB\nMemAvailable: 4 kB\n"}

    def read(self: Path, encoding: str) -> str:
        if str(self) not in files:
            raise FileNotFoundError
        return files[str(self)]

    monkeypatch.setattr(Path, "read_text", read)
    assert runtime.free_memory() == 4096
    files |= {"/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.current": "10\n"}
    assert runtime.free_memory() == 4096
    files["/sys/fs/cgroup/memory.max"] = "110\n"
    assert runtime.free_memory() == 100
    del files["/proc/meminfo"]
    monkeypatch.setattr(runtime.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 8}.__getitem__, raising=False)
    assert runtime.free_memory() == 40
