"""What is made of many photos: names, shares, what is there already, addresses."""

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest

from mien.batch.apply_folder import plan_folder
from mien.batch.config import BatchConfig, FilesConfig
from mien.errors import InputError, MienWarning
from mien.media.storage import is_address, is_file, is_folder, is_there, photos_of, place, read_photo


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    for name in [*(f"{i:03}.jpg" for i in range(40)), "2020/000.jpg", "2020/001.png"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_shares_are_all_of_the_work_and_none_of_it_twice(album: Path, tmp_path: Path) -> None:
    def shares(count: int) -> list[list[str]]:
        found = []
        for number in range(1, count + 1):
            files = BatchConfig(recursive=True, shard=f"{number}/{count}")
            found.append([job.out.name for job in plan_folder(album, ["ink", "toon"], tmp_path / "out", files)[0]])
        return found

    everything = [job.out.name for job in plan_folder(album, ["ink", "toon"], tmp_path / "out", BatchConfig(recursive=True))[0]]
    assert sorted(name for share in shares(3) for name in share) == sorted(everything)
    assert all(share for share in shares(3))
    before = shares(3)
    (album / "new.jpg").write_bytes(b"x")
    assert all(set(old) <= set(new) for old, new in zip(before, shares(3), strict=True)), "a new photo moves no other"


def test_the_share_is_that_of_the_name_in_the_folder(album: Path, tmp_path: Path) -> None:
    jobs, _ = plan_folder(album, ["ink"], tmp_path / "out", BatchConfig(recursive=True, shard="2/5"))
    names = [job.photo.relative_to(album).as_posix() for job in jobs]
    assert names
    assert all(int(hashlib.sha256(n.encode()).hexdigest()[:16], 16) % 5 == 1 for n in names)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shares_that_cannot_be_are_refused(shard: str) -> None:
    with pytest.raises(InputError, match="such as 3/16"):
        BatchConfig(shard=shard)


def test_what_is_there_is_told_from_what_is_to_be_made(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "003.png").write_bytes(b"done")
    with pytest.raises(InputError, match="`overwrite` to replace"):
        plan_folder(album, ["ink"], out, FilesConfig())
    with pytest.warns(MienWarning, match="1 of 40 images were there"):
        jobs, there = plan_folder(album, ["ink"], out, FilesConfig(skip_existing=True))
    assert ([job.out.name for job in there], len(jobs)) == (["003.png"], 39)


def test_addresses_are_folders_like_others(tmp_path: Path) -> None:
    pytest.importorskip("upath")
    folder = place("memory://album-of-a-test")
    assert is_address(folder)
    assert place(Path("memory://album-of-a-test/a.png")) == folder / "a.png", "a path of it has lost a slash"
    for name in ("b.jpg", "a.png", "deep/c.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    jobs, _ = plan_folder("memory://album-of-a-test", ["ink"], "memory://out-of-a-test", FilesConfig(recursive=True))
    assert [str(job.out).rpartition("/")[2] for job in jobs] == ["a.png", "b.png", "deep_c.png"]
    assert all(is_address(job.out) for job in jobs)


def test_addresses_that_cannot_be_opened_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="download it first"):
        place("https://example.org/photos")
    with pytest.raises(InputError, match="is an address"):
        place("nonsense://bucket/photos")
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(InputError, match=r"pip install \"mien\[cluster\]\""):
        place("s3://bucket/photos")
    monkeypatch.undo()
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(InputError, match="Install s3fs"):
            place("s3://bucket/photos")
    assert place("C:/photos") == Path("C:/photos"), "a drive is no address"


def test_storage_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    upath = pytest.importorskip("upath")

    class OwnError(Exception):
        """As botocore's, which are no OSErrors."""

    def fail(*_: object, **__: object) -> None:
        raise OwnError("no credentials")

    folder = place("memory://unreachable")
    for method in ("is_dir", "is_file", "exists", "iterdir", "read_bytes", "stat"):
        monkeypatch.setattr(upath.implementations.memory.MemoryPath, method, fail)
    for ask in (is_folder, is_file, is_there, photos_of, read_photo):
        with pytest.raises(InputError, match=r"does not answer \(OwnError: no credentials"):
            ask(folder)
