"""The tab *Video*: a clip, drawn frame by frame in the chosen style."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mien.errors import MienError
from mien.video.config import Codec
from mien.web.page.desk import MOVING, Desk, address
from mien.web.page.elements import OURS, drop_area, plain, style_cards
from mien.web.page.pieces import cards, clip, drop_zone, notes, problem, working
from mien.web.page.stylize_tab import Who
from mien.web.waiting_line import AbandonedError

_CODECS: list[tuple[str, Codec]] = [
    ("MP4 (H.264), plays everywhere", "auto"), ("MP4 (H.265), smaller", "h265"), ("WebM (VP9), keeps transparency", "vp9"),
    ("MOV (ProRes), for editing, keeps transparency", "prores"), ("MKV (FFV1), without loss, large", "ffv1"),
]  # fmt: skip
_DROP = drop_zone("Drop a video here", "or click to choose one; animated GIF and WebP too")


class VideoTab:
    """Its elements, and what they do."""

    def __init__(self, desk: Desk, who: Who) -> None:
        """Build it, in the gradio block that is open."""
        self.desk, self.who = desk, who
        with gr.Column(elem_id="video-column"):
            self.cards = style_cards(cards([], ""), elem_id="video-cards")
            self.drop = drop_area(_DROP, most_bytes=desk.studio.limits.bytes, elem_id="video")
            self.codec = gr.Dropdown(_CODECS, value="auto", label="File", visible=False, elem_id="codec")
            self.draw = gr.Button("Draw the video", variant="primary", visible=False, elem_id="draw-video")
            self.message = plain(elem_id="video-message")
            self.stop = gr.Button("Stop", visible=False, elem_id="stop-video")
            self.result = plain(elem_id="video-result")

    def connect(self, tab: Any, other_cards: Any) -> None:
        """Connect the elements' events; a style chosen here is chosen in the other tab too."""
        self.cards.select(self._choose, None, other_cards, **OURS)
        tab.select(self._enter, None, self.cards, **OURS)
        self.drop.upload(self._take, None, [self.drop, self.codec, self.draw, self.message], **OURS)
        self.draw.click(self._draw, self.codec, [self.message, self.draw, self.stop, self.result], **OURS)
        self.stop.click(self._stop, None, None, **OURS)

    def _choose(self, request: gr.Request, event: gr.EventData) -> str:
        visitor = self.who(request)
        visitor.style = str(event.style)
        return cards(self.desk.cards(visitor), visitor.style)

    def _enter(self, request: gr.Request) -> str:
        visitor = self.who(request)
        return cards(self.desk.cards(visitor), visitor.style)

    def _take(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        visitor = self.who(request)
        try:
            visitor.clip = self.desk.take(visitor, event.name, event.size, event.path)
        except MienError as error:
            return [gr.skip(), gr.skip(), gr.skip(), problem(str(error))]
        moving = visitor.clip.path.suffix in MOVING
        zone = drop_zone(visitor.clip.name, "Drop another one here")
        return [zone, gr.update(visible=not moving), gr.update(visible=True), ""]

    def _draw(self, codec: Codec, request: gr.Request) -> Iterator[list[Any]]:
        visitor, idle = self.who(request), [gr.update(visible=True), gr.update(visible=False)]
        try:
            job = self.desk.stylize_video(visitor, codec)
            for status in job.follow():
                yield [working("Drawing", status), gr.update(visible=False), gr.update(visible=True), gr.skip()]
            made = job.result()
        except AbandonedError:
            yield ["", *idle, gr.skip()]
        except MienError as error:
            yield [problem(visitor.clip.said(error) if visitor.clip else str(error)), *idle, gr.skip()]
        else:
            assert visitor.clip is not None
            kind = made.path.suffix
            name = f"{Path(visitor.clip.name).stem}-{visitor.style.partition(':')[2]}{kind}"
            yield [notes(made.notes), *idle, clip(address(visitor, made.path), name, moving=kind in MOVING)]

    def _stop(self, request: gr.Request) -> None:
        job = self.who(request).filming
        if job is not None:
            job.stop()
