"""Folders of half-done work belong to one process; killed ones hold nothing."""

import json
import os
import platform
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mien.errors import InputError, MienWarning
from mien.folder_lock import only_process

_HOLD = """
import sys
from pathlib import Path
from mien.folder_lock import only_process
with only_process(Path(sys.argv[1])):
    Path(sys.argv[1], "work").write_text("half done")
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    other = _holder(tmp_path / "run")
    with (
        pytest.raises(InputError, match=f"in use by process {other.pid} on {platform.node()} since 20"),
        only_process(tmp_path / "run"),
    ):
        pytest.fail("held by two")
    other.communicate("")
    assert other.returncode == 0
    with only_process(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock.json").read_text())["process"] == os.getpid()
    assert not (tmp_path / "run" / ".lock.json").exists()


def test_what_a_killed_process_held_is_taken_over_with_a_note(tmp_path: Path) -> None:
    other = _holder(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with pytest.warns(MienWarning, match=f"was left by process {other.pid} .* taken over"), only_process(tmp_path):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with only_process(tmp_path):  # and that once
            pass


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 5000, '{"process": "\\u001b[2J"}'])
def test_a_file_that_says_nothing_legible_of_the_owner_does_no_harm(tmp_path: Path, content: str) -> None:
    (tmp_path / ".lock.json").write_text(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with only_process(tmp_path):
            pass
    assert not any("\x1b" in str(warning.message) for warning in caught)


def test_a_folder_that_nothing_came_of_is_gone_and_others_stay(tmp_path: Path) -> None:
    with only_process(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "there").mkdir()
    with only_process(tmp_path / "there"):
        pass
    assert (tmp_path / "there").is_dir()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), only_process(tmp_path / "file"):
        pytest.fail("a file is no folder")
