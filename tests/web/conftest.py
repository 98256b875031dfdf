"""One server for all tests of the page and of the calls, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from mien.web.config import ServeConfig
from served import Served, serving, write_clip


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("gradio", reason="the extra `web` is not installed")
    kept = tmp_path_factory.mktemp("kept")
    with serving(ServeConfig(port=0, kept_styles=kept, upload_mib=12, upload_megapixels=4, waiting=4)) as running:
        yield running


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this computer: apt-get install chromium")
    with driver.sync_playwright() as playwright:
        clip = tmp_path_factory.mktemp("camera") / "clip.y4m"
        write_clip(clip)
        camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        arguments = ["--no-sandbox", *camera, f"--use-file-for-fake-video-capture={clip}"]
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()
