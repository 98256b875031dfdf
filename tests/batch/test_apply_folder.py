"""Many photos are what one photo after the other is; stops lose nothing; every one has its line."""

import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import mien
from mien.batch import work
from mien.batch.account import lines
from mien.batch.plan import Job
from mien.batch.work import Order, each_done
from mien.cli.app import shell
from mien.media.images import read_image
from mien.pipeline import Stylizer
from toys import toy_batch

pytestmark = [pytest.mark.filterwarnings("ignore:To the model"), pytest.mark.filterwarnings("ignore:.*px")]

ALIGNED, PLAIN = mien.AlignConfig(aligned=True), mien.RenderConfig(refine_steps=0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model, a style of it, five photos and one that is broken."""
    folder = toy_batch(tmp_path_factory.mktemp("desk"), photos=5)
    (folder / "photos" / "broken.jpg").rename(folder / "photos" / "3.jpg")
    return folder


@pytest.mark.slow
def test_a_folder_is_one_photo_after_the_other(desk: Path, tmp_path: Path) -> None:
    pipe, out = Stylizer.load(desk / "model.safetensors"), tmp_path / "out"
    done = mien.apply_folder(desk / "photos", desk / "toy.safetensors", out, PLAIN, align=ALIGNED, model=pipe)
    assert (done.written, list(done.failed), done.there_already) == (5, [str(desk / "photos" / "3.jpg")], 0)
    for photo in sorted((desk / "photos").glob("*.png")):
        alone = pipe.apply(desk / "toy.safetensors", photo, PLAIN, align=ALIGNED).image_data
        name = "3_png.png" if photo.stem == "3" else photo.name
        assert (read_image(out / name).pixels == alone.pixels).all()


@pytest.mark.slow
def test_what_was_stopped_goes_on_and_every_image_has_one_line(desk: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    files = mien.batch.BatchConfig(skip_existing=True, report=report)
    ask = (desk / "photos", desk / "toy.safetensors", out, PLAIN)

    class StopError(Exception):
        pass

    def stop(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise StopError

    model = str(desk / "model.safetensors")
    with pytest.raises(StopError):
        mien.apply_folder(*ask, align=ALIGNED, files=files, model=model, progress=stop)
    assert len(list(lines(report))) == len(list(out.iterdir())) == 2
    report.write_text(report.read_text().splitlines(keepends=True)[0])  # as if it was killed between image and line
    done = mien.apply_folder(*ask, align=ALIGNED, files=files, model=model)
    assert (done.written, done.there_already, len(done.failed)) == (3, 2, 1)
    written = [line["output"] for line in lines(report) if line["error"] is None]
    assert sorted(written) == sorted(map(str, out.iterdir()))


def test_addresses_are_read_and_written(desk: Path) -> None:
    upath = pytest.importorskip("upath")
    for photo in (desk / "photos").iterdir():
        upath.UPath(f"memory://many/{photo.name}").write_bytes(photo.read_bytes())
    pipe = Stylizer.load(desk / "model.safetensors")
    for _ in range(2):
        files = mien.batch.BatchConfig(skip_existing=True)
        done = mien.apply_folder(
            "memory://many", desk / "toy.safetensors", "memory://made", PLAIN, align=ALIGNED, model=pipe, files=files
        )
    assert (done.there_already, done.written, len(done.failed)) == (5, 0, 1)
    assert not [path.name for path in upath.UPath("memory://made").iterdir() if path.name.endswith(".part")]


def test_photos_are_read_ahead_and_what_is_warned_of_them_is_heard(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = work.read_photo

    def reading(path: Path) -> object:
        read.append(path.name)
        warnings.warn(f"note of {path.name}", mien.MienWarning, stacklevel=1)
        return whole(path)

    monkeypatch.setattr(work, "read_photo", reading)
    pipe = Stylizer.load(desk / "model.safetensors")
    photos = sorted((desk / "photos").glob("*.png"))
    jobs = [Job(photo, 0, tmp_path / photo.name) for photo in photos]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dones = each_done(pipe, [pipe.style(desk / "toy.safetensors")], jobs, Order(PLAIN, ALIGNED))
        assert next(dones).job == jobs[0]
        deadline = time.monotonic() + 20
        while len(read) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert read == [photo.name for photo in photos[:3]], "two ahead, and no more"
        assert [done.job for done in dones] == jobs[1:]
    assert {str(w.message) for w in caught} >= {f"note of {photo.name}" for photo in photos}


def test_the_command_says_how_many_a_second_and_writes_the_account(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["apply", str(desk / "toy.safetensors"), str(desk / "photos"), "-o", str(tmp_path / "out"), "--aligned", "--refine",
             "0", "--model", str(desk / "model.safetensors"), "--report", str(tmp_path / "r.jsonl"), "--json"]  # fmt: skip
    assert shell(words) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["images_per_second"] > 0
    assert len(list(lines(tmp_path / "r.jsonl"))) == 6
    assert shell([*words, "--skip-existing", "--shard", "1/1"]) == 1
    assert len(list(lines(tmp_path / "r.jsonl"))) == 7, "the broken one was tried again"


def test_before_and_after_side_by_side(desk: Path, tmp_path: Path) -> None:
    words = ["apply", str(desk / "toy.safetensors"), str(desk / "photos" / "1.png"), "--aligned", "--refine", "0", "--model",
             str(desk / "model.safetensors")]  # fmt: skip
    assert shell([*words, "-o", str(tmp_path / "after.png")]) == 0
    assert shell([*words, "-o", str(tmp_path / "both.png"), "--compare"]) == 0
    both, after = (read_image(tmp_path / f"{name}.png").pixels for name in ("both", "after"))
    assert (both[:, :96] == read_image(desk / "photos" / "1.png").pixels).all()
    assert (both[:, 96:98] == 255).all()
    assert (both[:, 98:] == after).all()
    assert shell([*words, "-o", str(tmp_path / "crops.png"), "--compare", "--crop", "--upscale", "none"]) == 0
    assert read_image(tmp_path / "crops.png").pixels.shape == (32, 66, 3)


def test_one_contact_sheet_with_the_photo_first(desk: Path, tmp_path: Path) -> None:
    style = str(desk / "toy.safetensors")
    words = ["apply", style, str(desk / "photos" / "1.png"), str(desk / "photos" / "2.png"), "--aligned", "--refine", "0",
             "--model", str(desk / "model.safetensors"), "--sheet", "-o", str(tmp_path / "sheet.png")]  # fmt: skip
    assert shell(words) == 0
    sheet = read_image(tmp_path / "sheet.png").pixels
    python = mien.style_sheet(
        [desk / "photos" / "1.png", desk / "photos" / "2.png"], [style], PLAIN, align=ALIGNED,
        model=str(desk / "model.safetensors"),
    )  # fmt: skip
    assert (sheet == read_image(write_sheet(python, tmp_path)).pixels).all()
    assert shell(words) == 2, "nothing is overwritten"


def write_sheet(image: object, folder: Path) -> Path:
    image.save(folder / "python.png")  # type: ignore[attr-defined]
    return folder / "python.png"


@pytest.mark.slow
def test_a_killed_command_goes_on(desk: Path, tmp_path: Path) -> None:
    style, photos = str(desk / "toy.safetensors"), str(desk / "photos")
    words = [sys.executable, "-m", "mien", "apply", style, photos, "-o", "out", "--aligned", "--refine", "0", "--model",
             str(desk / "model.safetensors"), "--report", "r.jsonl", "--skip-existing"]  # fmt: skip
    for _ in range(3):
        process = subprocess.Popen(words, cwd=tmp_path, stdout=-1, stderr=-1, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # an image is finished
        process.send_signal(signal.SIGKILL)
        process.communicate()
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["1.png", "2.png", "3_png.png", "4.png", "5.png"]
    told = [line["output"] for line in lines(tmp_path / "r.jsonl") if line["error"] is None]
    assert sorted(told) == sorted(f"out/{name}" for name in made)
