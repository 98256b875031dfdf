"""The page in headless Chromium, as people use it: a ready style, a style of one's own, mistakes, two people at once."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError
from mien.media.images import decode_image
from mien.styles import Style
from served import EXAMPLES, Served

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
WAIT = 180_000  # milliseconds: these machines are busy
FACE, PORTRAIT = EXAMPLES / "face.png", EXAMPLES / "portrait.png"


@pytest.fixture
def visit(server: Served, browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page, each time as another person; what it asks of other computers is collected in `page.strangers`."""
    opened = []

    def enter(width: int = 1280, **more: Any) -> Any:
        person = browser.new_context(viewport={"width": width, "height": 900}, **more)
        page = person.new_page()
        page.strangers = []
        own = (server.address, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else page.strangers.append(asked.url))
        page.goto(server.address)
        page.wait_for_selector("#cards [data-style]", timeout=WAIT)
        opened.append(person)
        return page

    yield enter
    for person in opened:
        person.close()


def drop(page: Any, file: Path, where: str = "photo") -> None:
    page.set_input_files(f"#{where} input[type=file]", str(file))


def finished(page: Any, style: str) -> bytes:
    """The image that the page offers, once it is drawn in that style."""
    link = page.wait_for_selector(f'.downloads a[download*="-{style}."]', timeout=WAIT)
    return page.request.get(page.url.rstrip("/") + "/" + link.get_attribute("href")).body()


def told_of(page: Any, problem: str) -> None:
    page.wait_for_selector(f'.problem:has-text("{problem}")', timeout=WAIT)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16)


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_a_photo_is_drawn_in_a_ready_style_and_again_as_controls_move(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#cards [data-style]").count() == 4
    drop(page, FACE)
    finished(page, "toon")
    page.click('[data-style="ready:ink"]')
    full = pixels(finished(page, "ink"))
    original = np.asarray(Image.open(FACE).convert("RGB"), dtype=np.int16)
    assert full.shape == original.shape
    assert np.abs(full - original).mean() > 4
    before = page.get_attribute(".downloads a.strong", "href")
    page.fill("#strength input[type=number]", "0")
    page.keyboard.press("Tab")
    page.wait_for_selector(f'.downloads a.strong:not([href="{before}"])', timeout=WAIT)
    weak = pixels(finished(page, "ink"))
    assert np.abs(weak - original).mean() < np.abs(full - original).mean() / 2
    page.locator(".compare input").fill("10")
    assert page.evaluate("getComputedStyle(document.querySelector('.compare')).getPropertyValue('--at')") == "10%"
    assert not page.strangers, "nothing is asked of other computers"


def test_a_style_is_learned_kept_renamed_used_and_deleted(visit: Callable[..., Any], server: Served) -> None:
    page = visit()
    drop(page, PORTRAIT)
    finished(page, "toon")
    drop(page, EXAMPLES / "comic.png", "reference")
    page.click("#learn", timeout=WAIT)
    page.wait_for_selector('#cards [data-style="own:comic"][aria-checked=true]', timeout=WAIT)
    link = page.wait_for_selector('.downloads a[download="comic.safetensors"]', timeout=WAIT)
    file = page.request.get(page.url.rstrip("/") + "/" + link.get_attribute("href")).body()
    page.get_by_role("tab", name="My styles").click()
    page.click("[data-do=keep]")
    page.wait_for_selector('.shelf li[data-style="kept:comic"]', timeout=WAIT)
    page.fill(".shelf input", "For grandma")
    page.keyboard.press("Enter")
    page.wait_for_selector('.shelf li[data-style="kept:For grandma"]', timeout=WAIT)
    kept = next(server.kept.rglob("For grandma.safetensors"))
    assert Style.read(kept).name == "For grandma"
    assert kept.stat().st_size == pytest.approx(len(file), rel=0.01)
    page.click("[data-do=use]")
    assert finished(page, "For grandma")
    page.reload()
    page.wait_for_selector('#cards [data-style="kept:For grandma"]', timeout=WAIT)
    page.get_by_role("tab", name="My styles").click()
    page.click("[data-do=delete]")
    page.click("[data-do=delete]")
    page.wait_for_selector(".empty", timeout=WAIT)
    assert not kept.exists()


def test_a_style_file_is_added_and_a_image_is_none(visit: Callable[..., Any]) -> None:
    from mien.shipped import find_style

    page = visit()
    page.get_by_role("tab", name="My styles").click()
    drop(page, FACE, "add-style")
    page.wait_for_selector("#shelf-message .problem", timeout=WAIT)
    drop(page, find_style("poster"), "add-style")
    page.wait_for_selector('.shelf li[data-style="own:poster"]', timeout=WAIT)


def test_mistakes_are_told_in_the_words_of_the_terminal(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit(390)
    text = tmp_path / "letter.png"
    text.write_text("Dear diary")
    drop(page, text)
    said = page.wait_for_selector(".problem", timeout=WAIT).inner_text()
    with pytest.raises(InputError) as told:
        decode_image(b"Dear diary", Path("letter.png"))
    assert said == str(told.value)
    Image.new("RGB", (320, 200), "#88aa66").save(tmp_path / "meadow.png")
    drop(page, tmp_path / "meadow.png")
    page.wait_for_function(
        "document.querySelector('.problem')?.innerText.startsWith('No face was found in meadow.png')", timeout=WAIT
    )
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    drop(page, tmp_path / "bomb.png")
    told_of(page, "more than the 4 megapixels")
    (tmp_path / "big.png").write_bytes(b"x" * (13 << 20))
    drop(page, tmp_path / "big.png")
    told_of(page, "big.png has 13 MiB")
    assert page.get_by_role("tab", name="My styles").is_visible(), "no tab hides behind a menu"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out of a phone's screen"


def test_two_people_see_their_own_images_and_do_not_wait_for_learning(visit: Callable[..., Any], server: Served) -> None:
    gate = threading.Event()
    slow = [server.studio.learners.join(lambda progress: gate.wait(120)) for _ in range(3)]  # two that learn, one that waits
    try:
        anna, bert = visit(), visit()
        drop(anna, EXAMPLES / "ink.png", "reference")
        anna.click("#learn", timeout=WAIT)
        said = anna.wait_for_selector("#learning .working", timeout=WAIT)
        assert until(lambda: "1 person is before you" in said.inner_text()), said.inner_text()
        drop(anna, FACE)
        drop(bert, PORTRAIT)
        bert.click('[data-style="ready:comic"]')
        theirs = [pixels(finished(anna, "toon")), pixels(finished(bert, "comic"))]
        for found, file in zip(theirs, (FACE, PORTRAIT), strict=True):
            original = np.asarray(Image.open(file).convert("RGB"), dtype=np.int16)
            assert found.shape == original.shape
            assert np.abs(found - original)[:8].max() == 0
        # Of what anna has, nothing is in bert's page; its addresses cannot be guessed from his.
        tokens = {re.search(r"visits/([^/]+)/", page.content())[1] for page in (anna, bert)}  # type: ignore[index]
        assert len(tokens) == 2
        anna.click("#stop", timeout=WAIT)
        assert until(lambda: server.studio.learners.length == 1)
    finally:
        gate.set()
        for job in slow:
            job.result()


def test_work_stops_and_files_go_when_a_page_is_closed(visit: Callable[..., Any], server: Served) -> None:
    gate = threading.Event()
    blocked = [server.studio.painters.join(lambda progress: gate.wait(120))]
    try:
        page = visit()
        drop(page, FACE)
        page.wait_for_selector(".working", timeout=WAIT)
        assert until(lambda: server.studio.painters.length == 1)
        folders = set((server.folder / "visitors").iterdir())
        assert folders
        page.close()
        assert until(lambda: server.studio.painters.length == 0), "nobody waits for it any more"
        assert until(lambda: len(set((server.folder / "visitors").iterdir())) < len(folders))
    finally:
        gate.set()
        blocked[0].result()


def test_the_camera_is_drawn_in_the_chosen_style(visit: Callable[..., Any]) -> None:
    page = visit(permissions=["camera"])
    page.get_by_role("tab", name="Camera").click()
    page.click('#camera-cards [data-style="ready:ink"]', timeout=WAIT)
    page.click("#camera [data-do=start]")
    # At least: a selector for a frame of that number would be asked twice a second, and miss it where frames are quick.
    page.wait_for_function("document.querySelector('#camera canvas')?.dataset.frames >= 3", timeout=WAIT)
    shot = page.evaluate("document.querySelector('#camera canvas').toDataURL('image/png')")
    drawn = pixels(base64.b64decode(shot.partition(",")[2]))
    portrait = np.asarray(Image.open(PORTRAIT).convert("RGB"), dtype=np.int16)
    assert drawn.shape == portrait.shape

    def warmth(image: np.ndarray) -> float:
        face = image[200:400, 250:390]
        return float((face[..., 0] - face[..., 2]).mean())

    assert warmth(drawn) < 0.6 * warmth(portrait), "ink has little color"
    assert np.abs(drawn - portrait)[:60].mean() < 6, "around the face the frame is the camera's"
    page.click("#camera [data-do=stop]")
    assert page.locator("#camera [data-do=start]").is_visible()
    assert page.get_attribute('#cards [data-style="ready:ink"]', "aria-checked") == "true"


def test_a_clip_is_drawn(visit: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    portrait = Image.open(PORTRAIT).convert("RGB").resize((320, 240))
    portrait.save(tmp_path / "clip.gif", save_all=True, append_images=[portrait.rotate(2)], duration=100)
    page = visit()
    page.get_by_role("tab", name="Video").click()
    page.click('#video-cards [data-style="ready:ink"]', timeout=WAIT)
    drop(page, tmp_path / "clip.gif", "video")
    page.click("#draw-video", timeout=WAIT)
    link = page.wait_for_selector('#video-result a[download="clip-ink.gif"]', timeout=WAIT)
    made = Image.open(io.BytesIO(page.request.get(page.url.rstrip("/") + "/" + link.get_attribute("href")).body()))
    assert made.size == portrait.size
    assert made.n_frames == 2
    assert np.abs(np.asarray(made.convert("RGB"), dtype=np.int16) - np.asarray(portrait)).mean() > 2
    (tmp_path / "notes.mp4").write_text("Dear diary")
    drop(page, tmp_path / "notes.mp4", "video")
    page.wait_for_selector('#video:has-text("notes.mp4")', timeout=WAIT)  # else the clip before is drawn once more
    page.click("#draw-video", timeout=WAIT)
    told_of(page, "notes.mp4 is not a video that can be read")
