"""Who may see the page, and that nobody can without a password."""

import os
from pathlib import Path

import pytest

import mien
from mien.cli.app import shell
from mien.cli.password import asked_password
from mien.errors import InputError
from mien.web.config import PASSWORD_VARIABLE, ServeConfig


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_computer_alone_needs_no_password(host: str) -> None:
    ServeConfig(host).check_password()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "mien.example"])
def test_others_need_one(host: str) -> None:
    with pytest.raises(InputError, match="a password is needed"):
        ServeConfig(host).check_password()
    ServeConfig(host, password="secret").check_password()
    assert "secret" not in repr(ServeConfig(host, password="secret"))


def test_serve_refuses_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="a password is needed"):
        mien.serve(ServeConfig("0.0.0.0"))
    assert shell(["serve", "--host", "0.0.0.0"]) == 2
    said = capsys.readouterr().err
    assert "a password is needed" in said
    assert PASSWORD_VARIABLE in said
    assert "--password" in said


def test_the_password_comes_from_the_environment_or_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    anywhere = ServeConfig("0.0.0.0")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed")
    assert asked_password(anywhere).password == "typed"
    assert asked_password(ServeConfig()).password is None, "nobody is asked on this computer alone"
    monkeypatch.setenv(PASSWORD_VARIABLE, "from the environment")
    assert asked_password(anywhere).password == "from the environment"
    assert asked_password(ServeConfig("0.0.0.0", password="given")).password == "given"


@pytest.mark.parametrize("wrong", [{"port": 70000}, {"upload_mib": 0}, {"learners": 0}, {"waiting": -1}, {"password": ""}])
def test_settings_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        ServeConfig(**wrong)


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r'pip install "mien\[web\]"'):
        mien.serve()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    import socket

    from mien.web.server import listening

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be listened on"), listening(ServeConfig(port=port)):
            pass
    assert os.environ.get(PASSWORD_VARIABLE) is None
