"""Frames of a camera: drawn in the chosen style, for each visitor by a stream of their own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")  # gradio itself takes seconds to import

from PIL import Image

from mien.errors import InputError, TooLargeError
from mien.web.live import Cameras
from mien.web.visitors import READY, Visitors
from served import EXAMPLES, Served


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.mark.slow
def test_frames_are_drawn_and_each_visitor_has_a_stream(server: Served, tmp_path: Path) -> None:
    visitors, cameras = Visitors(tmp_path / "visits", tmp_path / "kept"), Cameras(server.studio)
    anna, bert = visitors.of("a", "1"), visitors.of("b", "2")
    anna.style = bert.style = f"{READY}ink"
    sent = jpeg(Image.open(EXAMPLES / "portrait.png"))
    before = np.asarray(Image.open(io.BytesIO(sent)), dtype=np.int16)
    drawn = np.asarray(Image.open(io.BytesIO(cameras.draw(anna, anna.chosen(), sent))), dtype=np.int16)
    assert drawn.shape == before.shape
    change = np.abs(drawn - before).mean(axis=2)
    height, width = change.shape
    assert change[height // 3 : -height // 4, width // 3 : -width // 3].mean() > 4 * change[:40].mean()
    cameras.draw(bert, bert.chosen(), sent)
    assert anna.stream is not None
    assert bert.stream is not None
    assert anna.stream is not bert.stream
    assert anna.stream.mappers[0] is bert.stream.mappers[0], "the networks are shared"  # type: ignore[index]
    former = anna.stream
    cameras.draw(anna, "comic", sent)
    assert anna.stream is not former, "another style is another stream"
    with pytest.raises(InputError, match="the frame is not an image"):
        cameras.draw(anna, "comic", b"Dear diary")
    with pytest.raises(TooLargeError):
        cameras.draw(anna, "comic", jpeg(Image.new("L", (1600, 1600))))


def test_strangers_draw_nothing(server: Served) -> None:
    import httpx

    answer = httpx.post(f"{server.address}/visits/guessed/frame", content=b"x")
    assert answer.status_code == 400
    assert "reload" in answer.json()["error"]
