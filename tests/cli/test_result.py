"""What a command says while it works, and when it is stopped."""

import json
from pathlib import Path

import pytest

from mien.cli.result import Report, StoppedError, as_document, begin, lines_of_progress, live, together


def test_names_are_printed_as_files_are_finished_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    with live(names=True):
        report = Report()
        report.wrote(Path("a.png"))
        assert capsys.readouterr().out == "a.png\n"
        report.lines.append("a table")
    report.show(as_json=False, quiet=True)
    assert capsys.readouterr().out == "a table\n"


def test_a_document_comes_at_the_end_and_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with live(names=False):
        report = Report()
        report.wrote(Path("a.png"))
        assert capsys.readouterr().out == ""
    report.show(as_json=True, quiet=True)
    assert json.loads(capsys.readouterr().out)["written"] == [{"out": "a.png"}]


def test_the_image_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.wrote(Path("-"))
    report.show(as_json=True, quiet=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err)["written"] == [{"out": "-"}]


def test_a_stop_tells_the_truth() -> None:
    with live(names=True) as told:
        assert "no output was finished" in str(told.stopped(can_skip=True))
        for name in ("a.png", "b.png"):
            Report().wrote(Path(name))
        stop = told.stopped(can_skip=True)
    assert isinstance(stop, StoppedError)
    assert stop.written == ["a.png", "b.png"]
    assert "2 files were written" in str(stop)
    assert "--skip-existing" in str(stop)
    assert "--skip-existing" not in str(told.stopped(can_skip=False))


def test_a_stop_between_a_file_and_its_name_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with live(names=True) as told:
        Report().wrote(Path("a.png"))
        begin(tmp_path / "b.png")
        assert "1 file was written" in str(told.stopped(can_skip=True)), "it is not there yet"
        (tmp_path / "b.png").write_bytes(b"x")
        assert "2 files were written" in str(told.stopped(can_skip=True))
        assert capsys.readouterr().out.splitlines() == ["a.png", str(tmp_path / "b.png")]
        begin(tmp_path / "b.png")  # one that is replaced
        assert "2 files were written" in str(told.stopped(can_skip=True))


def test_progress_tells_how_many_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    advance = lines_of_progress("photos", lambda: now, rate=True)
    now = 40.0
    advance(50, 300, 0.0)
    assert capsys.readouterr().err == "mien: photos: 50 of 300, 1.25/s, about 3 min left\n"


def test_notes_of_one_kind_are_said_once_with_a_count() -> None:
    soft = [f"photos/{i}.jpg: A face of {90 + i} px was enlarged {2 + i}.5 times." for i in range(3)]
    assert together([*soft, "another"]) == [f"{soft[0]} (and 2 more like this)", "another"]


def test_a_message_that_names_its_photo_names_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(failed={"a.jpg": "a.jpg is empty.", "b.jpg": "No face."})
    report.show(as_json=False, quiet=False)
    assert capsys.readouterr().err.splitlines()[:2] == ["mien: a.jpg is empty.", "mien: b.jpg: No face."]


def test_control_characters_in_names_are_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(warnings=["x\x1b[2J"], failed={"a\nb.jpg": "No face."})
    report.wrote(Path("c\x07.png"))
    report.show(as_json=False, quiet=False)
    shown = capsys.readouterr()
    assert "\x1b" not in shown.err
    assert "a\\nb.jpg" in shown.err
    assert shown.out == "c\\x07.png\n"


def test_a_document_of_names_that_are_not_utf8_is_json() -> None:
    text = as_document({"out": "caf\udce9"})
    assert text.isascii()
    assert json.loads(text) == {"out": "caf\udce9"}
    assert as_document({"out": "é"}) == '{"out": "é"}'


def test_progress_in_a_log_is_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    advance = lines_of_progress("photos", lambda: now)
    for done in range(1, 101):
        now = float(done)
        advance(done, 300, 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "mien: photos: 30 of 300, about 4 min left"


def test_long_names_in_notes_and_failures_are_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    Report(warnings=["A" * 10**6], failed={"a.jpg": "B" * 10**6}).show(as_json=False, quiet=False)
    assert max(map(len, capsys.readouterr().err.splitlines())) < 1600
