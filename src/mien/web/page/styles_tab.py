"""The tab *My styles*: to keep, rename, delete, download and add styles."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mien.errors import MienError
from mien.web.page.desk import Desk
from mien.web.page.elements import OURS, drop_area, plain, style_list
from mien.web.page.pieces import drop_zone, problem, shelf
from mien.web.page.stylize_tab import StylizeTab, Who

_ADD = drop_zone("Add a style file", "A .safetensors file that mien made")


class StylesTab:
    """Its elements, and what they do."""

    def __init__(self, desk: Desk, who: Who) -> None:
        """Build it, in the gradio block that is open."""
        self.desk, self.who = desk, who
        self.message = plain(elem_id="shelf-message")
        self.list = style_list(shelf([]), elem_id="shelf")
        self.add = drop_area(_ADD, most_bytes=desk.studio.limits.bytes, elem_id="add-style")

    def connect(self, stylize: StylizeTab, tabs: Any, own_tab: Any) -> None:
        """Connect the elements' events; using a style leads to the other tab."""
        self.stylize = stylize
        seen = [self.list, self.message, stylize.cards]
        self.add.upload(self._add, None, seen, **OURS)
        acted = self.list.select(self._act, None, [*seen, tabs], **OURS)
        acted.then(self._draw_where_used, stylize.controls, [stylize.result, stylize.message], **OURS)
        own_tab.select(self._fresh, None, seen, **OURS)

    def _seen(self, request: gr.Request, message: str = "") -> list[Any]:
        visitor = self.who(request)
        return [shelf(self.desk.rows(visitor)), message, self.stylize.card_html(visitor)]

    def _fresh(self, request: gr.Request) -> list[Any]:
        return self._seen(request)

    def _add(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        visitor = self.who(request)
        upload = None
        try:
            upload = self.desk.take(visitor, event.name, event.size, event.path)
            self.desk.add_file(visitor, upload)
        except MienError as error:
            return self._seen(request, problem(upload.said(error) if upload else str(error)))
        return self._seen(request)

    def _act(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        visitor, found = self.who(request), None
        try:
            if event.act == "use":
                visitor.style = visitor.shelf.find(event.style).id
                return [*self._seen(request), gr.update(selected="stylize")]
            if event.act == "keep":
                found = visitor.shelf.keep(event.style)
            elif event.act == "rename":
                found = visitor.shelf.rename(event.style, event.text)
            elif event.act == "delete":
                visitor.shelf.delete(event.style)
            if visitor.style == event.style:
                visitor.style = found.id if found else self.desk.cards(visitor)[0].id
        except MienError as error:
            return [*self._seen(request, problem(str(error))), gr.skip()]
        return [*self._seen(request), gr.skip()]

    def _draw_where_used(self, request: gr.Request, *values: Any) -> Any:
        visitor = self.who(request)
        if visitor.style.partition(":")[0] in ("own", "kept") and visitor.style != visitor.drawn:
            yield from self.stylize.draw(request, *values)
