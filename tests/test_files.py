"""Files appear whole or not at all, with the permissions that any new file gets."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mien import files
from mien.checkpoint import native
from mien.checkpoint.state import write_state
from mien.errors import CheckpointError, InputError
from mien.evaluation.model_report.workspace import Workspace
from mien.files import write_whole, written_whole
from mien.media.images import from_tensor, write_image
from mien.training.run_folder import RunFolder


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "a.txt"
    write_whole(path, "first\n")
    with written_whole(path) as temporary:
        temporary.write_bytes(b"second")
        assert path.read_bytes() == b"first\n"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_writing_leaves_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"precious")

    def interrupted() -> None:
        with written_whole(path) as temporary:
            temporary.write_bytes(b"half")
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [InputError, CheckpointError])
def test_a_full_disk_is_told_in_the_error_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[InputError]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(error, match="No space left"):
        write_whole(tmp_path / "a.txt", "text", error)
    assert not list(tmp_path.iterdir())


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".safetensors")
    write_whole(path, "text")
    assert path.read_text() == "text"


def _state(folder: Path) -> Path:
    write_state(folder, {"a": torch.zeros(3)}, {})
    return folder / "state.json"


def _array(folder: Path) -> Path:
    Workspace(folder).kept("a", {}, lambda: {"a": torch.zeros(3)})
    return next(folder.glob("a-*.npz"))


def _ours(folder: Path) -> Path:
    native.write(folder / "a.safetensors", "test", {"a": torch.zeros(3)}, {})
    return folder / "a.safetensors"


def _text(folder: Path) -> Path:
    RunFolder(folder).write("plan.txt", "plan\n")
    return folder / "plan.txt"


def _image(folder: Path) -> Path:
    return write_image(folder / "a.png", from_tensor(torch.zeros(3, 4, 4)))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
@pytest.mark.parametrize("write", [_state, _array, _ours, _text, _image])
def test_every_file_gets_the_usual_permissions(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    before = os.umask(0o027)
    try:
        path = write(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not list(tmp_path.glob(".*"))


def test_without_overwrite_the_second_writer_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def late() -> None:
        with written_whole(path, overwrite=False) as temporary:
            temporary.write_bytes(b"second")
            write_whole(path, b"first")  # another process was quicker

    with pytest.raises(InputError, match="exists already"):
        late()
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_without_second_names_is_exclusive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", refused)
    path = tmp_path / "a.txt"
    with written_whole(path, overwrite=False) as temporary:
        temporary.write_bytes(b"first")
    assert path.read_bytes() == b"first"
    with pytest.raises(InputError, match="exists already"), written_whole(path, overwrite=False) as temporary:
        temporary.write_bytes(b"second")
    assert path.read_bytes() == b"first"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot be asked for without touching it")
def test_left_overs_of_killed_processes_are_swept_and_of_running_ones_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = files._HOST
    dead = tmp_path / f".a.png.{host}-{ended.pid}-01234567.part"
    alive = tmp_path / f".a.png.{host}-{os.getppid()}-01234567.part"
    elsewhere = tmp_path / f".a.png.zzzz-{ended.pid}-01234567.part"
    foreign = tmp_path / ".film.part"
    for path in (dead, alive, elsewhere, foreign):
        path.write_bytes(b"half")
    write_whole(tmp_path / "a.png", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.png", alive.name, elsewhere.name, foreign.name])
