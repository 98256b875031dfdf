"""The images of a folder, and what is said of those that are left out."""

import warnings
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import InputError, MienWarning
from mien.media.collection import image_names, read_images
from mien.media.listing import list_images, looks_like_a_image


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_deeper_folders_are_told_and_taken_when_asked_for(tmp_path: Path) -> None:
    _make(tmp_path, "b.jpg", "2020/a.jpg", ".hidden/c.jpg")
    with pytest.warns(MienWarning, match="sub-folders with images"):
        assert [p.name for p in list_images(tmp_path)] == ["b.jpg"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.name for p in list_images(tmp_path, recursive=True)] == ["a.jpg", "b.jpg"]


def test_a_folder_with_images_in_sub_folders_alone_says_where_they_are(tmp_path: Path) -> None:
    _make(tmp_path, "2020/05/a.jpg")
    with pytest.raises(InputError, match=r"sub-folders \(2020"):
        list_images(tmp_path)


def test_formats_that_are_not_read_are_told(tmp_path: Path) -> None:
    _make(tmp_path, "a.jpg", "b.CR2", "c.psd", "d.cr2", "notes.txt")
    with pytest.warns(MienWarning, match=r"2 \.cr2, 1 \.psd"):
        assert len(list_images(tmp_path)) == 1


def test_a_link_that_leads_nowhere_is_listed_so_that_it_fails(tmp_path: Path) -> None:
    _make(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to("/nonexistent.jpg")
    assert [p.name for p in list_images(tmp_path)] == ["a.jpg", "gone.jpg"]


@pytest.mark.parametrize(
    ("head", "is_one"),
    [(b"\x89PNG\r\n\x1a\n", True), (b"\xff\xd8\xff\xe0", True), (b"RIFF1234WEBPVP8 ", True), (b"PK\3\4", False), (b"", False)],
)
def test_images_are_known_by_how_they_begin(tmp_path: Path, head: bytes, is_one: bool) -> None:
    (tmp_path / "a").write_bytes(head)
    assert looks_like_a_image(tmp_path / "a") is is_one


def test_data_sets_name_dangling_links_and_formats_that_are_passed_over(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "raw.nef").write_bytes(b"")
    with pytest.warns(MienWarning, match=r"not read are left out \(1 \.nef\)"):
        found = dict(read_images(tmp_path))
    assert isinstance(found["a.png"], bytes)
    assert "gone.jpg" in str(found["gone.jpg"])
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("a.png", "b.psd", "__MACOSX/c.psd"):
            archive.writestr(name, b"")
    with pytest.warns(MienWarning, match=r"\(1 \.psd\)"):
        assert image_names(tmp_path / "z.zip") == ["a.png"]
