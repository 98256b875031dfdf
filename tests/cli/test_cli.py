"""Manners of the command line: help, exit codes, one-line errors, JSON, outputs that are never lost. No model needed."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.batch.config import FilesConfig
from mien.cli import app, result
from mien.cli.app import VERBS, shell
from mien.cli.paths import check_outputs, plan
from mien.cli.result import Report, pairs, table
from mien.errors import InputError, MienError
from toys import program


def _command(verb: str) -> Any:
    """Typer's own object for a verb."""
    return program().commands[verb]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every command raise the given error."""

    def install(error: BaseException) -> None:
        def broken(args: list[str], prog_name: str, standalone_mode: bool) -> int:
            raise error

        monkeypatch.setattr(app, "build", lambda verbs: broken)

    return install


# --- help ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples_that_are_valid(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell([verb, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "Examples" in shown.out
    from importlib import import_module

    for example in import_module(f"mien.cli.verbs.{verb}").EXAMPLES:
        words = shlex.split(example)
        words = words[words.index("mien") :]  # variables may stand before
        assert words[:2] == ["mien", verb]
        _command(verb).make_context(verb, words[2:])  # parses without running


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_told_and_none_is_negative(verb: str) -> None:
    for parameter in _command(verb).params:
        told = getattr(parameter, "help", None)
        if told is None and parameter.param_type_name == "argument":
            continue  # typer before 0.20 keeps the sentence of an argument elsewhere
        assert told, f"{verb} {parameter.name}: no help"
        assert told[0].isupper(), told
        assert told.rstrip().endswith("."), told
        for name in parameter.opts:  # the off half of a switch that is on by default may say no
            if (verb, name) == ("dataset", "--no-align") or name == "--skip-existing":  # the names that were asked for
                continue
            assert not re.match(r"--(no|skip|disable|dont|without)-", name), f"{verb} {name}: say what is, not what is not"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_the_screen_flags(verb: str) -> None:
    names = {name for parameter in _command(verb).params for name in parameter.opts}
    assert {"--json", "--quiet", "--debug"} <= names


def test_help_of_the_program_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell([]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"\b{verb}\b", out) for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import mien

    assert shell(["--version"]) == 0
    assert capsys.readouterr().out == f"mien {mien.__version__}\n"


# --- exit codes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MienError("The image is upside down: turn it."), 2, "The image is upside down: turn it."),
        (KeyboardInterrupt(), 130, "stopped"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.png"), 2, "out.png: No space left"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x.png"), 2, "x.png: Permission denied"),
        (MemoryError(), 2, "Out of memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 2, "Out of memory"),
        (SystemError("error return without exception set"), 2, "Out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "Out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), 2, "smaller image"),
        (ZeroDivisionError("division by zero"), 70, "Re-run with --debug"),
        (ValueError("two\nlines"), 70, "two lines"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, words: str, raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error)
    assert shell(["stylize"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert words in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(("verb", "has_batch"), [("apply", False), ("train", True)])
def test_advice_names_options_that_the_command_has(
    verb: str, has_batch: bool, raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert has_batch == ("--batch" in {name for parameter in _command(verb).params for name in parameter.opts})
    raising(MemoryError())
    assert shell([verb]) == 2
    assert ("--batch" in capsys.readouterr().err) == has_batch


def test_debug_shows_the_traceback(raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    raising(ZeroDivisionError("division by zero"))
    assert shell(["stylize", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_error_is_json_too(raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    raising(MienError("No."))
    assert shell(["apply", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"ok": False, "error": "No.", "code": 2}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "stylize me.jpg",
        "stylize me.jpg --style a.png --steps many -o o.png",
        "stylize --frobnicate",
        "apply ink me.jpg",
        "stylize a.jpg --style b.png -o c.png --color green",
        "stylize a.jpg --style b.png -o c.png --device tpu",
        "stylize a.jpg --style b.png -o c.png --steps -1",
        "fit b.png -o c.safetensors --steps 2.5",
        "fit b.png -o c.safetensors --previews d --preview-every 0",
        "stylize a.jpg --style b.png -o c.png --strength -1",
        "apply ink a.jpg -o c.png --strength big=1",
        "apply ink a.jpg -o c.png --refine -1",
        "apply ink a.jpg -o c.png --threads 0",
        "apply ink a.jpg -o c.png --threads 9999",
        "apply ink a.jpg -o c.png --face left",
        "apply ink a.jpg -o c.png --box 1,2",
        "apply ink a.jpg -o c.png --landmarks 1,2",
        "apply ink a.jpg -o c.png --aligned --box 1,2,3",
        "apply ink a.jpg -o c.png --keep eyes=much",
        "apply ink a.jpg -o c.png --keep ears",
        "sample --seeds five -o c.png",
        "sample -n 0 -o c.png",
        "sample --interpolate --frames 1 -o c.png",
        "sample --fps 0 -o c.gif",
        "fit b.png -o c.safetensors --batch -1",
        "align b.png -o c.png --size 0",
        "bench --rounds 0",
    ],
)
def test_wrong_flags_are_the_users(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(line.split()) == 2
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("mien: ")
    assert "--help" in shown.err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(["stylize"]) == 2
    shown = capsys.readouterr()
    assert "Usage: mien stylize" in shown.out + shown.err


# --- reports ------------------------------------------------------------------------------------------------------------------


def _three(fail: set[int]) -> Report:
    found = Report()

    def one(index: int) -> None:
        if index in fail:
            raise InputError(f"bad {index}")
        found.wrote(Path(f"{index}.png"))

    found.attempt(["a.jpg", "b.jpg", "c.jpg"], one)
    return found


def test_some_failed_is_1_and_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert _three({0, 2}).show(as_json=False, quiet=True) == 1
    shown = capsys.readouterr()
    assert shown.out == "1.png\n"
    assert "a.jpg: bad 0" in shown.err
    assert "c.jpg: bad 2" in shown.err
    assert "2 failed, 1 written" in shown.err


def test_one_input_that_fails_raises() -> None:
    def fail(index: int) -> None:
        raise InputError("no")

    with pytest.raises(InputError):
        Report().attempt(["a.jpg"], fail)


def test_a_bug_is_not_swallowed_as_a_failed_input() -> None:
    def fail(index: int) -> None:
        raise KeyError(index)

    with pytest.raises(KeyError):
        Report().attempt(["a.jpg", "b.jpg"], fail)


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert _three({1}).show(as_json=True, quiet=False) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [w["out"] for w in document["written"]] == ["0.png", "2.png"]
    assert document["failed"] == [{"input": "b.jpg", "error": "bad 1"}]


def test_quiet_hides_notes_only(capsys: pytest.CaptureFixture[str]) -> None:
    found = Report(lines=["done"], warnings=["careful"])
    found.show(as_json=False, quiet=False)
    assert "careful" in capsys.readouterr().err
    found.show(as_json=False, quiet=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("done\n", "")


def test_tables_align() -> None:
    assert table(("a", "bb"), [(1, "x"), (100, "y")]) == ["a    bb", "1    x", "100  y"]
    assert pairs({"a": 1, "long": "x y"}) == ["a     1", "long  x y"]


def test_progress_goes_to_terminals_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with result.progress("work", quiet=False) as advance:
        advance(1, 2, 0.5)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_progress_on_a_terminal_shows_counts_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with result.progress("work", quiet=False) as advance:
        advance(1, 4, 0.5)
        advance(2, 4, 0.4)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "work" in shown.err
    assert "2/4" in shown.err
    with result.progress("work", quiet=True) as advance:
        advance(1, 4, 0.5)
    assert capsys.readouterr().err == ""


# --- which files --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.jpg", "a.png", "notes.txt", ".hidden.jpg"):
        (folder / name).write_bytes(b"x")
    return folder


def test_one_photo_makes_the_file(photos: Path, tmp_path: Path) -> None:
    [job] = plan([photos / "b.jpg"], ["ink"], tmp_path / "out.png", FilesConfig())[0]
    assert (job.photo, job.style, job.out) == (photos / "b.jpg", 0, tmp_path / "out.png")


def test_one_photo_into_a_folder_keeps_its_name(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert plan([photos / "b.jpg"], ["ink"], tmp_path / "there", FilesConfig())[0][0].out == tmp_path / "there" / "b.png"
    assert plan([photos / "b.jpg"], ["ink"], tmp_path / "new", FilesConfig())[0][0].out == tmp_path / "new" / "b.png"


def test_folders_make_folders_with_predictable_names(photos: Path, tmp_path: Path) -> None:
    jobs = plan([photos], ["ink"], tmp_path / "out", FilesConfig())[0]
    assert [job.out.name for job in jobs] == ["a.png", "b.png"]
    assert (tmp_path / "out").is_dir()
    jobs = plan([photos], ["ink", "wash"], tmp_path / "out", FilesConfig())[0]
    assert [(job.out.name, job.style) for job in jobs] == [
        ("a_ink.png", 0),
        ("a_wash.png", 1),
        ("b_ink.png", 0),
        ("b_wash.png", 1),
    ]


def test_photos_of_one_stem_get_different_names(photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").write_bytes(b"x")
    jobs = plan([photos], ["ink"], tmp_path / "out", FilesConfig())[0]
    assert [job.out.name for job in jobs] == ["a_jpg.png", "a_png.png", "b.png"]


def test_photos_of_one_name_are_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="one by one"):
        plan([photos / "b.jpg", tmp_path / "b.jpg"], ["ink"], tmp_path / "out", FilesConfig())[0]


def test_a_photo_named_twice_is_taken_once(photos: Path, tmp_path: Path) -> None:
    assert len(plan([photos / "b.jpg", photos], ["ink"], tmp_path / "out", FilesConfig())[0]) == 2


@pytest.mark.parametrize(
    ("inputs", "out", "words"),
    [
        (["nothing.jpg"], "out.png", "There is no file"),
        (["photos"], "out.png", "give a folder"),
        (["photos/b.jpg"], "out.xyz", "must end in"),
        (["photos"], "photos/b.jpg", "give another -o"),
        (["empty"], "out", "no images"),
        (["photos/a.png"], "photos/a.png", "also an input"),
        (["photos/a.png"], "photos", "also an input"),
        (["photos/b.jpg"], "photos/a.png", "`overwrite` to replace"),
        (["photos/b.jpg"], "photos/notes.txt/out.png", "cannot be written"),
    ],
)
def test_outputs_are_refused_before_the_work(inputs: list[str], out: str, words: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = {path: path.read_bytes() for path in photos.iterdir()}
    with pytest.raises(InputError, match=words):
        plan([tmp_path / name for name in inputs], ["ink"], tmp_path / out, FilesConfig())[0]
    assert before == {path: path.read_bytes() for path in photos.iterdir()}


def test_overwrite_allows_an_existing_output_but_never_an_input(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"x")
    assert plan([photos / "a.png"], ["ink"], tmp_path / "out.png", FilesConfig(True))[0]
    (tmp_path / "link.png").symlink_to(photos / "a.png")
    for disguised in (photos / "a.png", photos / ".." / "photos" / "a.png", tmp_path / "link.png"):
        with pytest.raises(InputError, match="also an input"):
            plan([photos / "a.png"], ["ink"], disguised, FilesConfig(True))[0]


def test_a_missing_parent_is_made(tmp_path: Path) -> None:
    check_outputs([tmp_path / "new" / "deep" / "x.png"], [], overwrite=False)
    assert (tmp_path / "new" / "deep").is_dir()
    assert not list((tmp_path / "new" / "deep").iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        check_outputs([tmp_path / "x.png"], [], overwrite=False)


def test_endings_agree_with_what_the_writer_can() -> None:
    from mien.batch.plan import WRITABLE
    from mien.evaluation.random_faces import ANIMATIONS
    from mien.media import animation, images

    assert set(WRITABLE) == set(images._WRITERS)
    assert set(ANIMATIONS) == set(animation._FILMS)


def test_a_long_job_does_not_start_when_the_output_is_there(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.png").write_bytes(b"mine")
    line = ["stylize", str(photos / "b.jpg"), "--style", str(photos / "a.png"), "-o", str(tmp_path / "out.png")]
    # Neither image can be read: had the work begun, the error would be another one.
    assert shell(line) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "out.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("mien ap", "apply"),
        ("mien apply ", "ink"),
        ("mien apply ink a.jpg --face ", "largest"),
        ("mien apply --skip", "--skip-existing"),
    ],
)
def test_shells_complete_commands_styles_options_and_values(words: str, completed: str) -> None:
    number = len(words.split()) - (not words.endswith(" "))
    environment = {**os.environ, "_MIEN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    run = subprocess.run([sys.executable, "-m", "mien"], capture_output=True, text=True, env=environment, check=True)
    assert completed in run.stdout.split()
