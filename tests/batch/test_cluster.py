"""A Ray cluster does what one process does, also where a worker is killed."""

import os
import signal
from pathlib import Path

import pytest

import mien
from mien.batch.account import lines
from mien.batch.cluster import Task, each_done_on_ray
from mien.batch.config import BatchConfig
from mien.batch.plan import jobs_in_folder
from mien.batch.work import Order
from mien.errors import InputError, MienError
from mien.media.images import read_image
from mien.media.storage import photos_of
from mien.pipeline import Stylizer
from toys import toy_batch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PLAIN, ALIGNED = mien.RenderConfig(refine_steps=0), mien.AlignConfig(aligned=True)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ray")
    return toy_batch(tmp_path_factory.mktemp("cluster"), photos=12)


def test_a_killed_worker_loses_nothing_and_doubles_nothing(desk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = jobs_in_folder(photos_of(desk / "photos"), ["toy"], out)
    task = Task(Order(PLAIN, ALIGNED), (str(desk / "toy.safetensors"),), desk / "model.safetensors")
    dones, killed = [], None
    for done in each_done_on_ray(task, jobs, BatchConfig(ray="local", workers=2)):
        dones.append(done)
        if killed is None:
            killed = done.worker
            os.kill(int(killed.rpartition(":")[2]), signal.SIGKILL)
    assert sorted(str(done.job.out) for done in dones) == sorted(str(job.out) for job in jobs), "each once"
    assert len({done.worker for done in dones if done.worker}) >= 2
    assert [str(done.error) for done in dones if done.error] == [
        f"{desk}/photos/broken.jpg is empty (0 bytes): get the file again."
    ]
    pipe = Stylizer.load(desk / "model.safetensors")
    for photo in (desk / "photos").glob("*.png"):
        alone = pipe.apply(desk / "toy.safetensors", photo, PLAIN, align=ALIGNED).image_data
        assert (read_image(out / photo.name).pixels == alone.pixels).all()
    assert not [path for path in out.iterdir() if path.suffix == ".part"]


def test_python_and_account(desk: Path, tmp_path: Path) -> None:
    files = BatchConfig(ray="local", workers=2, report=tmp_path / "r.jsonl")
    done = mien.apply_folder(
        desk / "photos", desk / "toy.safetensors", tmp_path / "out", PLAIN, align=ALIGNED, files=files,
        model=str(desk / "model.safetensors"),
    )  # fmt: skip
    assert (done.written, len(done.failed)) == (12, 1)
    assert len(list(lines(tmp_path / "r.jsonl"))) == 13


def test_what_workers_cannot_load_is_told_in_one_sentence(desk: Path, tmp_path: Path) -> None:
    files = BatchConfig(ray="local", workers=1)
    with pytest.raises(MienError, match="There is no file"):
        mien.apply_folder(desk / "photos", desk / "toy.safetensors", tmp_path / "out", files=files, model="nowhere.safetensors")
    ask = BatchConfig(ray="127.0.0.1:1")
    with pytest.raises(InputError, match="There is no Ray cluster at"):
        mien.apply_folder(desk / "photos", desk / "toy.safetensors", tmp_path / "out", files=ask)
