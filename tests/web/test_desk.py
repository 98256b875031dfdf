"""What the page does for a visitor, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra `web` is not installed")

import numpy as np
from PIL import Image

from mien.errors import InputError
from mien.web.page.desk import CONTAINERS, Desk
from mien.web.page.video_tab import _CODECS
from mien.web.shelf import ShelfStyle
from mien.web.uploads import Upload
from mien.web.visitors import READY, Visitor, Visitors
from served import EXAMPLES, QUICK_LEARNING, Served


@pytest.fixture
def desk(server: Served, tmp_path: Path) -> Desk:
    return Desk(server.studio, tmp_path)


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    return Visitors(tmp_path / "visits", tmp_path / "kept").of("a", "1")


def test_a_style_is_seen_while_it_is_learned(desk: Desk, visitor: Visitor, tmp_path: Path) -> None:
    upload = Upload.keep((EXAMPLES / "comic.png").read_bytes(), "comic.png", visitor.folder)
    previews = tmp_path / "previews"
    previews.mkdir()
    desk.studio.learn([upload], QUICK_LEARNING, "comic", previews).result()
    assert [path.name for path in previews.iterdir()] == ["step-00001.png"]
    assert "step-00001.png" in desk._so_far(visitor, previews)
    assert (visitor.folder / "previews-step-00001.png").exists()
    (previews / "step-00020.png").write_bytes((previews / "step-00001.png").read_bytes())
    assert "step-00020.png" in desk._so_far(visitor, previews)
    assert not (visitor.folder / "previews-step-00001.png").exists()

    visitor.reference = upload
    *messages, style = desk.learn(visitor, QUICK_LEARNING)
    assert isinstance(style, ShelfStyle)
    assert all("Learning the style" in str(text) or "Waiting" in str(text) for text in messages)
    assert not list(visitor.folder.glob("learning-*/"))


def test_videos_become_the_file_that_is_chosen(desk: Desk, visitor: Visitor) -> None:
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    assert {codec for _, codec in _CODECS} <= CONTAINERS.keys()
    clip = visitor.folder / "clip.mp4"
    portrait = np.asarray(Image.open(EXAMPLES / "portrait.png").convert("RGB").resize((160, 120)))
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 160, 120
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(portrait)))
        container.mux(stream.encode())
    visitor.style, visitor.clip = f"{READY}ink", Upload(clip, "clip.mp4")
    for codec, suffix, found in (("auto", ".mp4", "h264"), ("vp9", ".webm", "vp9"), ("ffv1", ".mkv", "ffv1")):
        made = desk.stylize_video(visitor, codec).result()
        assert made.path.suffix == suffix
        with av.open(str(made.path)) as container:
            assert container.streams.video[0].codec_context.name.removeprefix("lib").startswith(found)


def test_photos_of_phones_are_taken_or_refused_in_a_sentence(
    desk: Desk, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra `heif` is not installed")
    heif.register_heif_opener()
    sent = desk.upload_folder / "IMG_1.HEIC"
    Image.open(EXAMPLES / "portrait.png").convert("RGB").save(sent, "HEIF", quality=90)
    upload = desk.take(visitor, sent.name, sent.stat().st_size, str(sent))
    assert desk.preview(visitor, upload).endswith("-small.jpg")
    visitor.photo, visitor.style = upload, f"{READY}ink"
    *_, view = desk.draw(visitor, desk.studio.usual_drawing)
    assert view.result is not None, view.message
    assert "IMG_1-ink.png" in view.result
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r'IMG_1.HEIC is a HEIC image: .* pip install "mien\[heif\]"'):
        desk.preview(visitor, upload)
