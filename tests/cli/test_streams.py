"""stdout and stderr that never end the work, run as programs are: with closed streams, odd names and kills. No model needed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.streams import for_a_terminal

_SAY = "from mien.cli.streams import prepare_streams; prepare_streams(); import sys\n"


def _run(code: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", _SAY + code], capture_output=True, timeout=120, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_end_the_work(closed: str, tmp_path: Path) -> None:
    code = _SAY + "print('out'); print('err', file=sys.stderr); open('done', 'w').write('file')"
    ended = subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, code], cwd=tmp_path, check=False)
    assert ended.returncode == 0
    assert (tmp_path / "done").read_text() == "file"  # nothing that was printed went into the file


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX systems")
def test_names_that_are_not_utf8_are_printed_as_their_bytes() -> None:
    ended = _run(
        "import os; print(os.fsdecode(b'caf\\xe9.png')); print('\\u2713')", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert ended.stdout.split() == [b"caf\xe9.png", b"\\u2713"]


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX pipe")
def test_a_reader_who_goes_away_does_not_end_the_work(tmp_path: Path) -> None:
    code = _SAY + "import time\nfor i in range(3): print('x' * 99999, flush=True)\nopen('done', 'w').close()"
    subprocess.run(["sh", "-c", '"$0" -c "$1" | head -c 1 > /dev/null', sys.executable, code], cwd=tmp_path, check=True)
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_polite_kill_is_ctrl_c() -> None:
    code = "import os, signal\ntry: os.kill(os.getpid(), signal.SIGTERM)\nexcept KeyboardInterrupt: print('stopped')"
    assert _run(code).stdout.strip() == b"stopped"
    assert signal.SIGTERM


def test_control_characters_are_escaped_and_letters_stay() -> None:
    assert for_a_terminal("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert for_a_terminal("Grüße 顔.png") == "Grüße 顔.png"
    assert for_a_terminal("caf\udce9") == "caf\udce9"
