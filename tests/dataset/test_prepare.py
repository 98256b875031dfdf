"""Training data from images as they come: what is dropped and why, what it is called, and that nothing is half written."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import mien
from mien.cli.app import shell
from mien.dataset import prepare as module
from mien.dataset.config import CropConfig, SelectionConfig
from mien.dataset.crops import examine
from mien.dataset.duplicates import Alike, perceptual_hash, sharpness
from mien.dataset.journal import Journal
from mien.dataset.output import work_folder
from mien.dataset.prepare import Preparation, prepare_dataset
from mien.dataset.selection import target_of
from mien.dataset.workers import each
from mien.errors import InputError
from mien.folder_lock import only_process
from mien.media.image_dataset import load_dataset, middle_square
from mien.media.images import read_image

EXAMPLES = Path(__file__).parents[2] / "examples"
SQUARES = CropConfig(32, align=False)


def scene(seed: int, size: int = 64, detail: float = 40.0) -> Image.Image:
    """An image with coarse shapes and fine detail, unlike that of every other seed."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    fine = np.asarray(coarse, dtype=np.float32) + random.normal(0, detail, (size, size, 3))
    return Image.fromarray(fine.clip(0, 255).astype(np.uint8))


def put(path: Path, image: Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders, an image beside them, and one of each that is to be dropped."""
    folder = tmp_path / "photos"
    put(folder / "a" / "one.png", scene(1))
    put(folder / "b" / "deep" / "two.jpg", scene(2), quality=95)
    put(folder / "three.webp", scene(3), lossless=True)
    (folder / "b" / "copy.png").write_bytes((folder / "a" / "one.png").read_bytes())
    put(folder / "b" / "mirrored.png", scene(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((48, 48)))
    put(folder / "tiny.png", scene(4, 12))
    put(folder / "soft.png", scene(5, 64, 0.0).filter(ImageFilter.GaussianBlur(4)))
    (folder / "broken.png").write_bytes((folder / "a" / "one.png").read_bytes()[:300])
    return folder


def why(made: Preparation) -> dict[str, str]:
    return {drop.source: drop.why for drop in made.dropped}


DROPPED = {
    "b/copy.png": "same file",
    "b/mirrored.png": "alike",
    "tiny.png": "too small",
    "soft.png": "blurred",
    "broken.png": "unreadable",
}


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_keeps_folders_and_drops_with_a_reason(photos: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    made = prepare_dataset([photos], out, SQUARES)
    assert why(made) == DROPPED
    assert [kept.target for kept in made.kept] == ["a/one", "b/deep/two", "three"]
    data = load_dataset(out, 32, folder_weights={"a": 2.0, "b": 3.0})
    assert data.names == ["a/one.png", "b/deep/two.png", "three.png"]
    assert data.weights.tolist() == [2.0, 3.0, 1.0]
    assert (data.cropped, data.enlarged, data.dropped) == (0, 0, {})
    # The same pixels as if the trainer had read the sources.
    assert torch.equal(data.pixels[:1], load_dataset(photos / "a", 32).pixels)
    assert not list(tmp_path.glob(".*")), "the work folder is gone"


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_reports_say_what_was_dropped(photos: Path, tmp_path: Path, name: str) -> None:
    made = prepare_dataset([photos], tmp_path / name, SQUARES)
    where = tmp_path / "out" / "report" if name == "out" else tmp_path / "out.report"
    document = json.loads(Path(f"{where}.json").read_text())
    assert document == made.document()
    assert (document["files"], document["kept"]) == (8, 3)
    assert document["folders"] == {"": 1, "a": 1, "b": 1}
    assert {d["source"]: d["why"] for d in document["left_out"]} == DROPPED
    text = Path(f"{where}.txt").read_text()
    assert "8 images read, 3 of 32 px kept" in text
    assert "b/mirrored.png: alike (like a/one.png)" in text
    assert all(f"dropped 1: {reason}" in text for reason in DROPPED.values())


def test_every_threshold_does_what_it_says(photos: Path, tmp_path: Path) -> None:
    def dropped(**settings: Any) -> set[str]:
        made = prepare_dataset([photos], tmp_path / "out", SQUARES, SelectionConfig(**settings), overwrite=True)
        return {drop.source for drop in made.dropped}

    assert dropped(min_side=12) == DROPPED.keys() - {"tiny.png"}
    assert dropped(min_side=50) == DROPPED.keys()  # the mirrored one is too small as well
    assert dropped(min_sharpness=0.0) == DROPPED.keys() - {"soft.png"}
    assert dropped(alike=0) == DROPPED.keys() - {"b/mirrored.png"}


def test_of_those_alike_the_largest_stays(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", scene(1).resize((40, 40), Image.Resampling.LANCZOS))
    put(tmp_path / "in" / "b.jpg", scene(1), quality=60)
    made = prepare_dataset([tmp_path / "in"], tmp_path / "out", SQUARES)
    assert [kept.target for kept in made.kept] == ["b"]
    assert [(drop.source, drop.detail) for drop in made.dropped] == [("a.png", "like b.jpg")]


def test_flat_images_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for name, color in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        put(tmp_path / "in" / f"{name}.png", Image.new("RGB", (32, 32), color))
    assert len(prepare_dataset([tmp_path / "in"], tmp_path / "out", SQUARES, SelectionConfig(min_sharpness=0)).kept) == 2


def test_several_sources_get_folders_and_free_names(tmp_path: Path) -> None:
    put(tmp_path / "flat" / "x.png", scene(1))
    put(tmp_path / "flat" / "x.jpg", scene(2))
    put(tmp_path / "flat" / "own" / "y.png", scene(3))
    alone = put(tmp_path / "z.png", scene(4))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        buffer = io.BytesIO()
        scene(5).save(buffer, "PNG")
        archive.writestr("X.PNG", buffer.getvalue())
    made = prepare_dataset([tmp_path / "flat", tmp_path / "more.zip", alone], tmp_path / "out.zip", SQUARES)
    assert [kept.target for kept in made.kept] == ["own/y", "flat/x", "flat/x-2", "more/X", "z"]
    assert [kept.target for kept in prepare_dataset([alone], tmp_path / "alone", SQUARES).kept] == ["z"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a/b.png", "a/b"), ("../../b.png", "b"), ("/etc/b.png", "etc/b"), ("C:\\x\\b.png", "C_/x/b"), ("a\\..\\b.png", "a/b"),
        ("..\\.png", None), ("a\nb.png", "a_b"), (" /b.png", "b"),
    ],
)  # fmt: skip
def test_names_never_lead_out_of_the_folder(name: str, target: str | None) -> None:
    found = target_of(name)
    assert target is None or found == target
    assert not {"", ".", ".."} & set(found.split("/"))
    assert not found.startswith("/")
    assert max(len(part.encode()) for part in target_of("ü" * 150 + ".png").split("/")) <= 200


def test_a_hostile_zip_stays_in_the_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    scene(1).save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number, name in enumerate(("../../up.png", f"{tmp_path}/outside.png", "x/y\\..\\..\\..\\up.png")):
            archive.writestr(name, buffer.getvalue() + bytes(number))
    prepare_dataset([tmp_path / "in.zip"], tmp_path / "deep" / "er" / "out", SQUARES, SelectionConfig(alike=0))
    assert {file.parent for file in tmp_path.rglob("*.png")} <= {*(tmp_path / "deep" / "er" / "out").rglob("*")}
    assert len(list(tmp_path.rglob("*.png"))) == 2, "one name is hidden"


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("webp", b"RIFF"), ("jpg", b"\xff\xd8")])
def test_format_and_resolution(tmp_path: Path, kind: Any, magic: bytes) -> None:
    put(tmp_path / "in" / "a.png", scene(1))
    prepare_dataset([tmp_path / "in"], tmp_path / "out", CropConfig(48, align=False, format=kind))
    file = tmp_path / "out" / f"a.{kind}"
    assert file.read_bytes().startswith(magic)
    assert Image.open(file).size == (48, 48)


def test_a_zip_has_the_same_bytes_again(photos: Path, tmp_path: Path) -> None:
    contents = set()
    for name in ("x.zip", "y.zip"):
        prepare_dataset([photos], tmp_path / name, SQUARES)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1


# --- what is never lost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_an_output_that_exists_is_replaced_only_on_demand(photos: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    prepare_dataset([photos], out, SQUARES)
    with pytest.raises(InputError, match="exists already"):
        prepare_dataset([photos], out, SQUARES)
    prepare_dataset([photos / "a"], out, SQUARES, overwrite=True)
    assert load_dataset(out, 32).names == ["one.png"]
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_the_user_is_never_replaced(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    prepare_dataset([photos], tmp_path / "empty", SQUARES)
    put(tmp_path / "mine" / "holiday.png", scene(9))
    with pytest.raises(InputError, match="did not make"):
        prepare_dataset([photos], tmp_path / "mine", SQUARES, overwrite=True)
    for out in (photos, photos.parent):
        with pytest.raises(InputError, match=r"never overwritten|did not make"):
            prepare_dataset([photos], out, SQUARES, overwrite=True)
    with pytest.raises(InputError, match="lies in the source"):
        prepare_dataset([photos], photos / "a" / "out", SQUARES)
    zipped = tmp_path / "in.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(photos / "three.webp", "three.webp")
    with pytest.raises(InputError, match="also a source"):
        prepare_dataset([zipped], zipped, SQUARES, overwrite=True)


class Counted:
    """`examine`, which counts and may stop."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.calls, self.stop_after = 0, stop_after

    def __call__(self, data: bytes, name: str, config: CropConfig) -> Any:
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        return examine(data, name, config)


def test_a_stopped_preparation_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_dataset([photos], tmp_path / "straight.zip", SQUARES)
    monkeypatch.setattr(module, "examine", Counted(stop_after=4))
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset([photos], tmp_path / "out.zip", SQUARES)
    assert not (tmp_path / "out.zip").exists()
    work = tmp_path / ".out.zip.work"
    with (work / "found.jsonl").open("a") as lines:  # killed in the middle of a line
        lines.write('{"sha": "')
    crop = next(work.glob("*-0"))
    crop.write_bytes(crop.read_bytes()[:10])  # and a crop that the disk lost
    rest = Counted()
    monkeypatch.setattr(module, "examine", rest)
    prepare_dataset([photos], tmp_path / "out.zip", SQUARES)
    assert rest.calls == 7 - 4 + 1  # eight files, two of them equal
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "straight.zip").read_bytes()
    assert not work.exists()


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    first = Journal(tmp_path / "work", SQUARES)
    first.add("ab", examine(b"no image", "x.png", SQUARES))
    assert "ab" in Journal(tmp_path / "work", SQUARES)
    assert "ab" not in Journal(tmp_path / "work", CropConfig(64, align=False))


def test_a_failed_write_leaves_the_old_output(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_dataset([photos], tmp_path / "out", SQUARES)
    before = (tmp_path / "out" / "report.json").read_bytes()
    original = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "ready":
            raise OSError(28, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        prepare_dataset([photos / "a"], tmp_path / "out", SQUARES, overwrite=True)
    assert (tmp_path / "out" / "report.json").read_bytes() == before


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    put(tmp_path / "in" / "tiny.png", scene(1, 12))
    with pytest.raises(InputError, match=r"tiny.png: too small, 12 px, and 16 are needed"):
        prepare_dataset([tmp_path / "in"], tmp_path / "out", SQUARES)
    assert not (tmp_path / "out").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no images"):
        prepare_dataset([tmp_path / "none"], tmp_path / "out", SQUARES)
    with pytest.raises(InputError, match="There is no"):
        prepare_dataset([tmp_path / "nowhere"], tmp_path / "out", SQUARES)


# --- faces ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_faces() -> Image.Image:
    """A made-up photo with a large and a small face."""
    face = Image.open(EXAMPLES / "portrait.png").convert("RGB")
    wide = Image.new("RGB", (1060, 480), (90, 110, 130))
    wide.paste(face, (0, 0))
    wide.paste(face.resize((420, 315)), (640, 100))
    return wide


@pytest.mark.slow
@pytest.mark.parametrize(("face", "targets"), [("all", ["two", "two-2"]), ("largest", ["two"])])
def test_faces_are_aligned(tmp_path: Path, two_faces: Image.Image, face: Any, targets: list[str]) -> None:
    put(tmp_path / "in" / "two.png", two_faces)
    put(tmp_path / "in" / "empty.png", scene(1, 200))
    crops, all_of_them = CropConfig(64, face=face), SelectionConfig(min_side=0, min_sharpness=0, alike=0)
    made = prepare_dataset([tmp_path / "in"], tmp_path / "out", crops, all_of_them)
    assert [kept.target for kept in made.kept] == targets
    assert why(made) == {"empty.png": "no face"}
    aligned = mien.align_faces(tmp_path / "in" / "two.png", size=64)[0]
    stored = read_image(tmp_path / "out" / "two.png").rgb()
    assert torch.allclose(stored, aligned.crop, atol=1.01 / 127.5)
    assert made.kept[0].crop.crop.side == round(aligned.frame.side)


def test_the_same_face_twice_in_an_image_is_one(tmp_path: Path, two_faces: Image.Image) -> None:
    put(tmp_path / "in" / "two.png", two_faces)
    made = prepare_dataset([tmp_path / "in"], tmp_path / "out", CropConfig(64), SelectionConfig(min_sharpness=0))
    assert why(made) == {"two.png (face 2)": "alike"}


def test_blurred_background_keeps_the_face_and_blurs_the_rest(tmp_path: Path) -> None:
    face = np.asarray(Image.open(EXAMPLES / "face.png").convert("RGB").resize((128, 128)), dtype=np.float32)
    noisy = face + np.random.default_rng(0).normal(0, 25, face.shape)
    put(tmp_path / "in" / "a.png", Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    grain = {}
    for soft in (False, True):
        prepare_dataset([tmp_path / "in"], tmp_path / str(soft), CropConfig(128, align=False, blurred_background=soft))
        pixels = np.asarray(Image.open(tmp_path / str(soft) / "a.png"), dtype=np.float32)
        detail = np.abs(np.diff(pixels, axis=1)).mean(axis=2)
        grain[soft] = (detail[2:12, 2:20].mean(), detail[54:84, 50:78].mean())
    assert grain[True][0] < grain[False][0] / 4, "the corner is soft"
    assert grain[True][1] > grain[False][1] * 0.9, "the face is as it was"


def test_real_photos(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "photos"
    if not source.is_dir():
        pytest.skip("needs the photos in ../shared/data")
    chosen = [source / f"portrait_0{i}.webp" for i in (0, 1)]
    again = put(tmp_path / "again.jpg", Image.open(chosen[0]).convert("RGB").resize((380, 380)), quality=70)
    made = prepare_dataset([*chosen, again], tmp_path / "out", CropConfig(128))
    assert [kept.target for kept in made.kept] == ["portrait_00", "portrait_01"]
    assert [drop.why for drop in made.dropped] == ["alike"]


# --- sharpness and likeness ---------------------------------------------------------------------------------------------------


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    sharp = Image.open(EXAMPLES / "face.png").convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)

    def of(image: Image.Image) -> float:
        return sharpness(np.asarray(image))

    assert of(sharp.filter(ImageFilter.GaussianBlur(3))) < 0.07 < of(sharp)
    assert of(sharp.filter(ImageFilter.GaussianBlur(1))) < of(sharp)
    assert of(sharp.point(lambda value: value // 2 + 60)) == pytest.approx(of(sharp), rel=0.1)
    assert sharpness(np.full((64, 64, 3), 7, np.uint8)) == 1.0, "a flat image is not blurred"


def test_hashes_of_copies_are_near_and_of_others_far() -> None:
    def distance(a: Image.Image, b: Image.Image) -> int:
        first, second = (perceptual_hash(np.asarray(image)) for image in (a, b))
        assert first is not None
        assert second is not None
        return int(np.unpackbits(first ^ second).sum())

    image = Image.open(EXAMPLES / "face.png").convert("RGB").crop((80, 0, 560, 480)).resize((128, 128))
    assert distance(image, image.resize((64, 64)).resize((128, 128))) <= 20
    assert distance(image, image.point(lambda value: min(255, int(value * 1.1) + 5))) <= 20
    assert all(distance(image, scene(seed)) > 60 for seed in range(2, 12))


def test_alike_finds_the_nearest_also_among_many() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 256, (600, 32), dtype=np.uint8)
    alike = Alike(8)
    for one in hashes:
        alike.add(one)
    near = hashes[517].copy()
    near[0] ^= 0b111
    assert alike.find(near) == 517
    assert alike.find(None, near) == 517
    near[1:5] ^= 0b11
    assert alike.find(near) is None
    assert Alike(0).find(near) is None


# --- several processes ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_keeps_the_order_and_reads_ahead_little() -> None:
    read: list[int] = []

    def values() -> Iterator[int]:
        for value in range(40):
            read.append(value)
            yield value

    for value, result in each(hex, values(), 2):
        assert result == hex(value)
        assert len(read) <= value + 7
    assert list(each(hex, range(3), 1)) == [(0, "0x0"), (1, "0x1"), (2, "0x2")]


@pytest.mark.slow
def test_several_workers_make_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    prepare_dataset([photos], tmp_path / "one.zip", SQUARES)
    line = f"dataset {photos} -o {tmp_path}/two.zip --no-align --resolution 32 --workers 2 --quiet"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-m", "mien", *line.split()], check=True, env=environment, timeout=120)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


# --- the command --------------------------------------------------------------------------------------------------------------


def test_options_reach_the_work(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(sources: list[Path], out: Path, crops: CropConfig, selection: SelectionConfig, **rest: Any) -> None:
        seen.update(crops=crops, selection=selection, **rest)
        raise InputError("enough")

    monkeypatch.setattr(module, "prepare_dataset", fake)
    line = f"dataset {photos} -o {tmp_path}/x --resolution 64 --no-align --face largest --blurred-background --format jpg"
    line = f"{line} --min-side 9 --min-sharpness 0.5 --alike 3 --workers 5 --overwrite"
    shell(line.split())
    assert seen["crops"] == CropConfig(64, align=False, face="largest", blurred_background=True, format="jpg")
    assert seen["selection"] == SelectionConfig(9, 0.5, 3)
    assert (seen["workers"], seen["overwrite"]) == (5, True)
    shell(f"dataset {photos} -o {tmp_path}/x".split())
    assert (seen["workers"], seen["overwrite"]) == (None, False)


def test_the_command_prints_counts_and_json(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"dataset {photos} -o {tmp_path}/out.zip --no-align --resolution 32"
    assert shell(line.split()) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == f"{tmp_path}/out.zip"
    assert "8 images read, 3 of 32 px kept" in shown.out
    assert shell(line.split()) == 2
    assert "exists already" in capsys.readouterr().err
    assert shell([*line.split(), "--overwrite", "--json"]) == 0
    (written,) = json.loads(capsys.readouterr().out)["written"]
    assert written["out"] == f"{tmp_path}/out.zip"
    assert (written["kept"], written["dropped"]["alike"]) == (3, 1)


def test_ctrl_c_keeps_the_work(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "examine", Counted(stop_after=2))
    line = f"dataset {photos} -o {tmp_path}/out.zip --no-align --resolution 32"
    assert shell(line.split()) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert (tmp_path / ".out.zip.work" / "found.jsonl").read_text().count("\n") == 2
    assert not (tmp_path / "out.zip").exists()


def test_wrong_values_are_told(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, word in (
        ("--resolution 4", "from 8"),
        ("--resolution 9999", "4096"),
        ("--alike 300", "256"),
        ("--face 3", "face"),
    ):
        assert shell(f"dataset {photos} -o {tmp_path}/x {wrong}".split()) == 2
        assert word in capsys.readouterr().err


def test_the_middle_square_is_that_of_training(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", scene(1).resize((90, 60)))
    square = middle_square(read_image(path), 32)
    assert np.array_equal(square.transpose(2, 0, 1), load_dataset(path, 32).pixels[0].numpy())


def test_two_processes_do_not_make_one_data_set(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_process(work_folder(out)), pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
        prepare_dataset(photos, out, SQUARES)
    assert not out.exists()
    prepare_dataset(photos, out, SQUARES)
    assert not list(out.rglob(".*")), "no lock is left in the data set"
    assert not work_folder(out).exists()
