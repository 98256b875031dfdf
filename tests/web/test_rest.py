"""The REST calls: images come out, settings act, and errors are JSON with the sentence of the terminal and a status."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")  # gradio itself takes seconds to import

import httpx
from PIL import Image

from mien.errors import InputError, TooLargeError
from mien.shipped import find_style
from mien.web.rest import status_of
from mien.web.waiting_line import AbandonedError, TooBusyError
from served import EXAMPLES, Served

PAGE = Path(__file__).parent.parent.parent / "docs" / "web.md"
FACE = (EXAMPLES / "face.png").read_bytes()
SECONDS = 300


def post(server: Served, fields: dict[str, str] | None = None, accept: str = "image/png", **files: tuple) -> httpx.Response:
    address = f"{server.address}/api/stylize"
    return httpx.post(address, data=fields or {}, files=files, headers={"accept": accept}, timeout=SECONDS)


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), dtype=np.int16)


def test_the_styles_are_listed_with_their_cards(server: Served) -> None:
    styles = httpx.get(f"{server.address}/api/styles").json()["styles"]
    assert [style["name"] for style in styles] == ["comic", "ink", "poster", "toon"]
    card = httpx.get(f"{server.address}/{styles[1]['card']}")
    assert Image.open(io.BytesIO(card.content)).size == (256, 256)


@pytest.mark.slow
def test_a_photo_in_a_ready_style_and_with_settings(server: Served) -> None:
    full = post(server, {"style": "ink"}, photo=("me.png", FACE))
    assert full.headers["content-type"] == "image/png"
    original = np.asarray(Image.open(EXAMPLES / "face.png").convert("RGB"), dtype=np.int16)
    changed = np.abs(pixels(full) - original).mean(axis=2)
    assert changed.mean() > 4
    assert changed[:8].max() == 0, "the border of the photo is the photo's own"
    around = post(server, {"style": "ink", "drawing": '{"surroundings": 1}'}, photo=("me.png", FACE))
    assert np.abs(pixels(around) - original)[:8].min(axis=2).max() > 4, "or follows the style"
    none = post(server, {"style": "Ink", "drawing": json.dumps({"strength": 0.0})}, photo=("me.png", FACE))
    assert np.abs(pixels(none) - original).mean() < changed.mean() / 2
    cropped = post(
        server, {"style": "ink", "drawing": '{"crop": true, "upscale": "none"}'}, "image/webp", photo=("me.png", FACE)
    )
    assert cropped.headers["content-type"] == "image/webp"
    assert pixels(cropped).shape == (256, 256, 3)


@pytest.mark.slow
def test_a_style_file_does_what_the_ready_one_does(server: Served) -> None:
    style = ("mine.safetensors", find_style("ink").read_bytes())
    sent, named = post(server, photo=("me.png", FACE), style=style), post(server, {"style": "ink"}, photo=("me.png", FACE))
    assert (pixels(sent) == pixels(named)).all()
    image = post(server, photo=("me.png", FACE), style=("ink.png", FACE))
    assert image.status_code == 400
    assert image.json()["error"].startswith("ink.png is an image"), "our own names of files are nobody's business"


@pytest.mark.slow
def test_a_style_is_learned_from_a_reference(server: Served) -> None:
    reference = ("ink.png", (EXAMPLES / "ink.png").read_bytes())
    learned = post(server, {"learning": '{"steps": 2}'}, photo=("me.png", FACE), reference=reference)
    assert np.abs(pixels(learned) - pixels(post(server, {"style": "ink"}, photo=("me.png", FACE)))).mean() > 0.5


@pytest.mark.parametrize(
    ("fields", "photo", "status", "sentence"),
    [
        ({"style": "ink"}, ("notes.txt", b"Dear diary"), 400, "notes.txt is not an image that mien can read"),
        ({"style": "ink"}, ("empty.png", b""), 400, "empty.png is empty"),
        ({"style": "inc"}, ("me.png", FACE), 400, "There is no style inc.*Did you mean ink"),
        ({"style": "/etc/passwd"}, ("me.png", FACE), 400, "There is no style /etc/passwd"),
        ({}, ("me.png", FACE), 400, "from a reference or from a finished style"),
        ({"style": "ink", "drawing": '{"strength": "much"}'}, ("me.png", FACE), 400, "strength"),
        ({"style": "ink", "drawing": '{"hair": 7}'}, ("me.png", FACE), 400, "hair is a number from 0 to 1"),
        ({"style": "ink", "drawing": '{"refine_steps": 9999}'}, ("me.png", FACE), 400, "at most 200"),
        ({"style": "ink", "drawing": '{"upscale": 100}'}, ("me.png", FACE), 400, "at most 4"),
        ({"style": "ink", "drawing": '{"colour": 1}'}, ("me.png", FACE), 400, "has no setting 'colour'"),
        ({"style": "ink", "drawing": "[1"}, ("me.png", FACE), 400, "not readable as JSON"),
        ({"style": "ink", "learning": '{"steps": 100000}'}, ("me.png", FACE), 400, "at most 500"),
        ({"style": "ink", "size": "big"}, ("me.png", FACE), 400, "There is no field 'size'"),
        ({"style": "ink"}, ("big.png", b"x" * (13 << 20)), 413, "big.png has 13 MiB, more than the 12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_are_sentences(server: Served, fields: dict, photo: tuple, status: int, sentence: str) -> None:
    answer = post(server, fields, photo=photo)
    assert answer.status_code == status
    assert re.search(sentence, answer.json()["error"]), answer.json()


def test_a_image_of_too_many_pixels_is_refused_before_it_is_decoded(server: Served) -> None:
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")  # a few kilobytes that would be 243 MB
    answer = post(server, {"style": "ink"}, photo=("bomb.png", stream.getvalue()))
    assert answer.status_code == 413
    assert "more than the 4 megapixels" in answer.json()["error"]


def test_a_photo_without_a_face(server: Served) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (300, 200), "#88aa66").save(stream, "PNG")
    answer = post(server, {"style": "ink"}, photo=("meadow.png", stream.getvalue()))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("No face was found in meadow.png")


def test_every_kind_of_error_has_its_status() -> None:
    kinds = [InputError("x"), TooLargeError("x"), TooBusyError("x"), AbandonedError("x")]
    assert [status_of(error) for error in kinds] == [400, 413, 429, 499]


def test_a_full_line_is_429(server: Served) -> None:
    gate = threading.Event()
    studio = server.studio
    jobs = [studio.painters.join(lambda progress: gate.wait(60)) for _ in range(1)]
    deadline = time.monotonic() + 10
    while not jobs[0].status.running and time.monotonic() < deadline:
        time.sleep(0.01)
    jobs += [studio.painters.join(lambda progress: None) for _ in range(4)]
    try:
        answer = post(server, {"style": "ink"}, photo=("me.png", FACE))
    finally:
        gate.set()
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    assert "try again" in answer.json()["error"]


def test_a_client_that_hangs_up_stops_the_work_and_leaves_nothing(server: Served) -> None:
    gate = threading.Event()
    blocking = server.studio.painters.join(lambda progress: gate.wait(60))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.address}/api/stylize", data={"style": "ink"}, files={"photo": ("me.png", FACE)}, timeout=1.0
        )  # fmt: skip
    deadline = time.monotonic() + 10
    while server.studio.painters.length and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.studio.painters.length == 0, "nobody waits any more"
    gate.set()
    assert blocking.result()
    calls = server.folder / "calls"
    while any(calls.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(calls.iterdir())


@pytest.mark.slow
def test_the_curl_examples_of_the_documentation_work(server: Served, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this computer")
    shutil.copy(EXAMPLES / "face.png", tmp_path / "me.jpg")
    shutil.copy(EXAMPLES / "ink.png", tmp_path / "reference.png")
    blocks = re.findall(r"^```bash curl\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    commands = [c for b in blocks for c in b.replace("\\\n", " ").splitlines() if c.strip() and not c.startswith("#")]
    assert len(commands) >= 3
    for command in commands:
        assert command.startswith("curl ")
        told = command.replace("http://127.0.0.1:7860", server.address)
        done = subprocess.run(["bash", "-c", told], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr
    made = [path for path in tmp_path.iterdir() if path.name not in ("me.jpg", "reference.png")]
    assert made
    for path in made:
        assert Image.open(path).size == Image.open(tmp_path / "me.jpg").size, path.name
