"""What people mix up when they name files: addresses, stdin and stdout, names of models, images for styles."""

import io
import sys
from pathlib import Path

import pytest

from mien.batch.config import FilesConfig
from mien.cli.paths import photos_in, plan, resolve_file, write_out
from mien.cli.render import find_styles, learned_already
from mien.errors import InputError, MienWarning
from mien.shipped import EMBEDDED_MODEL, ready_styles


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command is called in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_that_are_listed_are_files_everywhere(here: Path) -> None:
    assert resolve_file(Path("ink")) == ready_styles()["ink"]
    assert resolve_file(Path("mien-faces")) == resolve_file(Path("Faces")) == EMBEDDED_MODEL


def test_a_folder_hides_no_style_and_a_file_says_so(here: Path) -> None:
    (here / "ink").mkdir()
    assert resolve_file(Path("ink")) == ready_styles()["ink"]
    (here / "toon").write_bytes(b"x")
    with pytest.warns(MienWarning, match="the file of that name here"):
        assert resolve_file(Path("toon")) == Path("toon")


@pytest.mark.parametrize("name", ["https://example.org/me.jpg", "http://x/y.png"])
def test_an_address_is_said_to_be_one(name: str, here: Path) -> None:
    with pytest.raises(InputError, match="is an address"):
        resolve_file(Path(name))
    with pytest.raises(InputError, match="is an address"):
        find_styles(name)


def test_a_image_as_a_style_is_answered_with_the_way_on(here: Path) -> None:
    (here / "reference.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    with pytest.raises(InputError, match=r"is an image.*mien fit.*mien stylize"):
        find_styles("reference.png")


def test_ready_styles_are_found_in_capitals_and_at_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_styles("INK") == [ready_styles()["ink"]]
    monkeypatch.setenv("HOME", str(here))
    (here / "own.safetensors").write_bytes(b"x")
    assert find_styles("~/own.safetensors") == [here / "own.safetensors"]


def test_a_learned_style_among_references_is_known(here: Path) -> None:
    assert learned_already([Path("me.png")], None) is None
    with pytest.warns(MienWarning, match="mien apply ink"):
        assert learned_already([Path("ink")], None) == "ink"
    with pytest.warns(MienWarning, match="already learned"):
        assert learned_already([Path("comic.safetensors")], None) == "comic.safetensors"
    with pytest.raises(InputError, match="give it alone"):
        learned_already([Path("ink"), Path("me.png")], None)
    with pytest.raises(InputError, match="give it alone"):
        learned_already([Path("ink")], Path("again.safetensors"))


class _Bytes(io.TextIOWrapper):
    """stdin or stdout of a program whose other end is no terminal."""

    def isatty(self) -> bool:
        return False


def test_a_dash_is_stdin_and_stdout(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from mien.media.image_data import ImageData
    from mien.media.images import read_image

    image = ImageData(np.full((4, 6, 3), 7, np.uint8))
    stdout = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", _Bytes(stdout))
    write_out(Path("-"), image, overwrite=False)
    monkeypatch.setattr(sys, "stdin", _Bytes(io.BytesIO(stdout.getvalue())))
    [photo] = photos_in([Path("-")])
    assert (read_image(photo).pixels == image.pixels).all()
    assert not list(here.iterdir())


def test_one_image_alone_goes_to_stdout(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        (here / name).write_bytes(b"x")
    monkeypatch.setattr(sys, "stdout", _Bytes(io.BytesIO()))
    [job], _ = plan([Path("a.png")], ["ink"], Path("-"), FilesConfig())
    assert job.out == Path("-")
    with pytest.raises(InputError, match="writes one image to stdout"):
        plan([here], ["ink"], Path("-"), FilesConfig())


def test_what_is_there_is_not_made_again(here: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (here / name).write_bytes(b"x")
    (here / "out").mkdir()
    (here / "out" / "b.png").write_bytes(b"done")
    photos = [here / name for name in ("a.png", "b.png", "c.png")]
    with pytest.warns(MienWarning, match="1 of 3 images were there"):
        jobs, there = plan(photos, ["ink"], here / "out", FilesConfig(skip_existing=True))
    assert [job.photo.name for job in there] == ["b.png"]
    assert [job.photo.name for job in jobs] == ["a.png", "c.png"]


def test_deeper_folders_give_their_names(here: Path) -> None:
    for name in ("a.png", "2020/a.png"):
        (here / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "album" / name).write_bytes(b"x")
    jobs, _ = plan([here / "album"], ["ink"], here / "out", FilesConfig(recursive=True))
    assert [job.out.name for job in jobs] == ["2020_a.png", "a.png"]
