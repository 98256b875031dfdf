"""The whole page."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr

from mien.web.guard import COOKIE
from mien.web.page.camera_tab import CameraTab
from mien.web.page.desk import Desk
from mien.web.page.elements import plain
from mien.web.page.pieces import HEADER
from mien.web.page.styles_tab import StylesTab
from mien.web.page.stylize_tab import StylizeTab
from mien.web.page.video_tab import VideoTab
from mien.web.visitors import Visitor, Visitors

TITLE = "mien: your face, drawn in any style"


def build_page(desk: Desk, visitors: Visitors) -> gr.Blocks:
    """The page as gradio blocks."""

    def who(request: gr.Request) -> Visitor:
        browser = request.cookies.get(COOKIE, "") or str(request.session_hash)
        return visitors.of(str(request.session_hash), browser)

    def enter(request: gr.Request) -> list[Any]:
        visitor = who(request)
        visitor.style = visitor.style or desk.cards(visitor)[0].id
        return [stylize.card_html(visitor)]

    def leave(request: gr.Request) -> None:
        visitors.leave(str(request.session_hash))

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        plain(HEADER)
        with gr.Tabs() as tabs:
            with gr.Tab("Stylize", id="stylize"):
                stylize = StylizeTab(desk, who)
            with gr.Tab("Camera", id="camera") as camera_tab:
                camera = CameraTab(desk, who)
            if find_spec("av") is not None:  # the extra `video`
                with gr.Tab("Video", id="video") as video_tab:
                    video = VideoTab(desk, who)
                video.connect(video_tab, stylize.cards)
            with gr.Tab("My styles", id="styles") as own_tab:
                own = StylesTab(desk, who)
        stylize.connect()
        camera.connect(camera_tab, stylize.cards)
        own.connect(stylize, tabs, own_tab)
        page.load(enter, None, [stylize.cards], show_progress="hidden", api_visibility="private")
        page.unload(leave)
    page.queue(default_concurrency_limit=None, max_size=None)
    assert isinstance(page, gr.Blocks)
    return page
