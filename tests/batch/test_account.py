"""Accounts are whole lines, whatever happens to their writers."""

import json
import multiprocessing
from pathlib import Path

import pytest

from mien.batch.account import Account, lines
from mien.batch.plan import Job
from mien.batch.work import Done
from mien.errors import InputError


def _job(name: str) -> Job:
    return Job(Path("in") / f"{name}.jpg", 0, Path("out") / f"{name}.png")


def test_a_line_says_what_became_of_a_image(tmp_path: Path) -> None:
    book = Account(tmp_path / "deep" / "r.jsonl")
    book.add(Done(_job("a"), "ink", 1.23456, (1.5, 0.5), worker="host:1"))
    book.add(Done(_job("b\udcff"), "ink", 0.0, error=InputError("No face.")))
    book.close()
    first, second = lines(tmp_path / "deep" / "r.jsonl")
    assert first == {
        "input": "in/a.jpg", "output": "out/a.png", "style": "ink", "faces": 2, "seconds": 1.235, "error": None,
        "worker": "host:1",
    }  # fmt: skip
    assert (second["error"], second["faces"]) == ("No face.", None)


def test_after_a_line_that_was_cut_off_others_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"output": "x", "error": None}) + '\n{"input": "in/a')
    book = Account(path)
    book.add(Done(_job("b"), "ink", 1.0))
    book.close()
    assert [line["output"] for line in lines(path)] == ["x", "out/b.png"]


def test_images_whose_writer_was_killed_before_their_line_are_known(tmp_path: Path) -> None:
    book = Account(tmp_path / "r.jsonl")
    book.add(Done(_job("a"), "ink", 1.0, (1.0,)))
    book.add(Done(_job("b"), "ink", 1.0, error=InputError("No face.")))
    assert book.without_line([_job("a"), _job("b"), _job("c")]) == [_job("b"), _job("c")]
    book.close()


def _write(path: Path, name: str) -> None:
    book = Account(path)
    for _ in range(200):
        book.add(Done(_job(name * 50), "ink", 1.0))
    book.close()


def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "r.jsonl"
    writers = [context.Process(target=_write, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(list(lines(path))) == len(path.read_text().splitlines()) == 400


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another `report`"):
        Account(tmp_path / "file" / "r.jsonl")
    with pytest.raises(InputError, match="device or a pipe"):
        Account(Path("/dev/null"))
