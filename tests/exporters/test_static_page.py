"""The exported page in a real browser: the face changes and nothing else does, for a photo and for the camera."""

import base64
import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from mien.errors import InputError
from mien.exporters.static_page import RUNTIME

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
PHOTO = Path("examples/face.png")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package onnxruntime-web: the file that MIEN_ONNXRUNTIME_WEB names, or what npm downloads."""
    if "MIEN_ONNXRUNTIME_WEB" in os.environ:
        return Path(os.environ["MIEN_ONNXRUNTIME_WEB"])
    if shutil.which("npm") is None:
        pytest.skip("no npm here, and MIEN_ONNXRUNTIME_WEB names no onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(["npm", "pack", "onnxruntime-web@1.30.0"], cwd=folder, capture_output=True, timeout=180)
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        pytest.skip("npm cannot download onnxruntime-web here")
    return found[0]


class _Isolated(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = mien.exporters.export_web("toon", tmp_path_factory.mktemp("web") / "page", runtime=runtime)
    handler = functools.partial(_Isolated, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this computer: apt-get install chromium")
    film = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    Image.open(PHOTO).convert("RGB").resize((480, 480)).save(still := film.with_suffix(".jpg"), quality=92)
    film.write_bytes(still.read_bytes() * 4)
    camera = [
        f"--use-file-for-fake-video-capture={film}",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
    ]
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *camera])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(180_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("#choose:enabled")
        yield page
        browser.close()


def _shown(page: Any) -> np.ndarray:
    code = """() => { const c = document.getElementById('canvas');
        return [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; }"""
    width, height, data = page.evaluate(code)
    return np.array(data, dtype=np.int16).reshape(height, width, 4)[..., :3]


@pytest.mark.slow
def test_a_dropped_photo_changes_in_the_face_alone(page: Any) -> None:
    dropped = """async (data) => { const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        const files = new DataTransfer(); files.items.add(new File([bytes], 'me.png', { type: 'image/png' }));
        document.getElementById('place').dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true })); }"""
    page.evaluate(dropped, base64.b64encode(PHOTO.read_bytes()).decode())
    page.wait_for_function("document.documentElement.dataset.done >= 1")
    assert page.inner_text("#status") == ""
    shown, photo = _shown(page), np.asarray(Image.open(PHOTO).convert("RGB"), dtype=np.int16)
    changed = np.abs(shown - photo).mean(axis=2)
    frame = mien.Stylizer.load(device="cpu").align(PHOTO).faces[0].frame
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = np.hypot(x - frame.center[0], y - frame.center[1]) / frame.side
    assert changed[away < 0.2].mean() > 8
    assert changed[away > 0.75].mean() < 1 if (away > 0.75).any() else True
    assert changed[:4].max() < 8, "the photo's edge is not the face's"


@pytest.mark.slow
def test_strength_by_the_keyboard_redraws(page: Any) -> None:
    before, done = _shown(page), page.evaluate("document.documentElement.dataset.done")
    page.focus("#strength")
    page.keyboard.press("Home")
    page.wait_for_function(f"document.documentElement.dataset.done > {done}")
    assert np.abs(_shown(page) - before).mean() > 1


@pytest.mark.slow
def test_the_camera_is_drawn_and_frames_are_counted(page: Any) -> None:
    page.click("#camera")
    page.wait_for_function("document.documentElement.dataset.faces >= 2")
    page.wait_for_function("document.getElementById('speed').textContent.includes('frames a second')")
    page.click("#camera")
    assert page.inner_text("#camera") == "Start the camera"


@pytest.mark.slow
def test_it_fits_a_phone_and_asks_nobody_else(page: Any, address: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.asked
    assert all(url.startswith((address, "blob:", "data:")) for url in page.asked)
    assert page.evaluate("crossOriginIsolated")


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path) -> None:
    wrong = ((None, "npm pack"), (tmp_path / "none.tgz", "does not exist"), (PHOTO, "not the .tgz"), (tmp_path, RUNTIME[0]))
    for runtime, word in wrong:
        with pytest.raises(InputError, match=word):
            mien.exporters.export_web("toon", tmp_path / "page", runtime=runtime)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        mien.exporters.export_web("toon", tmp_path / "full", runtime=tmp_path)
