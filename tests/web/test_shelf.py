"""The styles of a visitor: kept, renamed, deleted, and safe from names that lead elsewhere."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mien.errors import InputError
from mien.styles import Style
from mien.web.shelf import Shelf, plain_name


def style(name: str = "comic") -> Style:
    return Style(name, "0" * 16, 32, {"a": torch.zeros(1).half()}, torch.zeros(3, 8, 8, dtype=torch.uint8), {"references": []})


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "visit", tmp_path / "kept")


CARD = Image.new("RGB", (8, 8))


def test_a_style_is_added_kept_renamed_and_deleted(shelf: Shelf, tmp_path: Path) -> None:
    added = shelf.add(style(), CARD)
    assert (added.id, added.name, added.kept) == ("own:comic", "comic", False)
    assert added.card.is_file()
    kept = shelf.keep(added.id)
    assert (kept.id, kept.kept) == ("kept:comic", True)
    assert not added.path.exists()
    assert shelf.keep(kept.id) == kept
    renamed = shelf.rename(kept.id, "Grandma's novel")
    assert renamed.name == "Grandma's novel"
    assert Style.read(renamed.path).name == "Grandma's novel", "the file says so too"
    assert [found.id for found in Shelf(tmp_path / "next visit", tmp_path / "kept").styles()] == [renamed.id]
    shelf.delete(renamed.id)
    assert not list((tmp_path / "kept").iterdir())
    with pytest.raises(InputError, match="not here any more"):
        shelf.delete(renamed.id)


def test_names_that_are_taken_get_a_number(shelf: Shelf) -> None:
    assert [shelf.add(style(), CARD).name for _ in range(3)] == ["comic", "comic 2", "comic 3"]
    shelf.keep("own:comic")
    assert shelf.keep("own:comic 2").name == "comic 2"
    assert shelf.rename("kept:comic 2", "Comic").name == "Comic 3", "capitals make no other name on some disks"
    assert Style.read(shelf.find("kept:Comic 3").path).name == "Comic 3"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", "C:\\x", "a\0b", "<b>x</b>", "x" * 300])
def test_names_lead_nowhere_else(shelf: Shelf, name: str) -> None:
    if name == "..":
        with pytest.raises(InputError, match="needs a name"):
            plain_name(name)
        return
    added = shelf.add(style(name), CARD)
    assert added.path.parent == shelf.folder
    assert not set("/\\\0<>:") & set(added.name)
    assert len(added.name) <= 60


def test_a_shelf_is_full_at_some_point(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.web.shelf._MOST", 2)
    shelf.add(style(), CARD)
    shelf.add(style(), CARD)
    with pytest.raises(InputError, match="2 styles here already"):
        shelf.add(style(), CARD)
