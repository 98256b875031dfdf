"""Visitors: each has a folder of their own, which goes with them, and kept styles belong to a browser."""

import threading
from pathlib import Path

from mien.web.uploads import Upload
from mien.web.visitors import Visitors
from mien.web.waiting_line import WaitingLine


def test_two_visitors_share_nothing(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path / "visits", tmp_path / "kept")
    anna, bert = visitors.of("a", "browser of anna"), visitors.of("b", "browser of bert")
    assert anna is visitors.of("a", "browser of anna")
    assert anna.folder != bert.folder
    assert anna.shelf.kept != bert.shelf.kept
    assert visitors.of("a later", "browser of anna").shelf.kept == anna.shelf.kept
    assert visitors.by_token(anna.token) is anna
    assert visitors.by_token("guessed") is None
    assert "anna" not in str(anna.shelf.kept), "the folder does not tell the secret"


def test_who_leaves_takes_everything_along(tmp_path: Path) -> None:
    visitors, line = Visitors(tmp_path / "visits", tmp_path / "kept"), WaitingLine(1, 4)
    anna, bert = visitors.of("a", "1"), visitors.of("b", "2")
    sent = []
    for number in range(2):
        path = tmp_path / "uploads" / str(number) / "me.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"image")
        sent.append(path)
    anna.sent.update(sent)
    bert.sent.add(sent[1])
    Upload.keep(b"image", "me.png", anna.folder)
    started = threading.Event()

    def work(progress: object) -> None:
        started.set()
        while True:
            progress(1, 2, 0.0)  # type: ignore[operator]

    anna.learning = line.join(work)
    assert started.wait(10)
    visitors.leave("a")
    assert anna.learning.future.exception(10) is not None, "the work ends"
    assert not anna.folder.exists()
    assert not sent[0].exists()
    assert sent[1].exists(), "the same image of another visitor stays"
    assert bert.folder.exists()
    visitors.leave("a")
    visitors.close()
    assert not sent[1].exists()
    assert not list((tmp_path / "visits").iterdir())
    line.close()


def test_the_name_of_an_upload_is_for_messages_only(tmp_path: Path) -> None:
    kept = Upload.keep(b"x", "../../outside\\me.PNG", tmp_path)
    assert kept.path.parent == tmp_path
    assert kept.path.suffix == ".png"
    assert kept.name == "me.PNG"
