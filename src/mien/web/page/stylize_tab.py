"""The tab *Stylize*: a photo, a style, and the result beside the photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from mien.editing.config import FEATURES
from mien.errors import MienError
from mien.latents import USUAL_FIDELITY
from mien.render_config import RenderConfig
from mien.web.page.desk import Desk, View
from mien.web.page.elements import OURS, drop_area, plain, style_cards
from mien.web.page.pieces import cards, drop_zone, problem
from mien.web.shelf import ShelfStyle
from mien.web.visitors import Visitor
from mien.web.waiting_line import AbandonedError

Who = Callable[[gr.Request], Visitor]
PHOTO = drop_zone("Drop a photo here", "or click to choose one, or paste it")
REFERENCE = drop_zone("Drop any image of a face", "A painting, a comic, a film still: its style is learned in a minute or two")
_SHARP: list[tuple[str, str | float]] = [("Sharp", "auto"), ("Off", "none"), ("2x", 2.0), ("4x", 4.0)]


def _heading(title: str, text: str) -> None:
    plain(f'<div class="step"><h2>{title}</h2><p>{text}</p></div>')


class StylizeTab:
    """Its elements, and what they do."""

    def __init__(self, desk: Desk, who: Who) -> None:
        """Build it, in the gradio block that is open."""
        self.desk, self.who = desk, who
        most = desk.studio.limits.bytes
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="choose"):
                _heading("Photo", "One with a face or several, large or small.")
                self.photo = drop_area(PHOTO, most_bytes=most, elem_id="photo", paste=True)
                _heading("Style", "Pick one that is ready, or learn your own.")
                self.cards = style_cards(cards([], ""), elem_id="cards")
            with gr.Column(elem_id="own"):
                _heading("Your own style", "From one image, best with a face seen from the front.")
                self.reference = drop_area(REFERENCE, most_bytes=most, elem_id="reference")
                self.own_colors = gr.Checkbox(False, label="Keep the colors of the photo", visible=False, elem_id="own-colors")
                self.learn = gr.Button("Learn this style", variant="primary", visible=False, elem_id="learn")
                self.learning = plain(elem_id="learning")
                self.stop = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Column(elem_id="show"):
                self.message = plain(elem_id="message")
                self.result = plain(desk.welcome(), elem_id="result")
                self.controls = self._controls()

    def _controls(self) -> list[Any]:
        usual = self.desk.studio.usual_drawing
        strengths = usual.strength if isinstance(usual.strength, (int, float)) else 1.0
        fidelity_now = USUAL_FIDELITY if usual.fidelity is None else usual.fidelity
        with gr.Column(elem_id="controls"):
            with gr.Row():
                strength = gr.Slider(0, 1.5, strengths, step=0.05, label="Strength", info="How much style", elem_id="strength")
                fidelity = gr.Slider(0, 1, fidelity_now, step=0.05, label="Fidelity", info="How much of the person")
            with gr.Row():
                hair = gr.Slider(0, 1, usual.hair, step=0.05, label="Hair", info="How much of the photo's own strands")
                color = gr.Slider(
                    0, 1, usual.photo_color, step=0.05, label="Color", info="How much of the photo's own", elem_id="color"
                )
            around = gr.Checkbox(
                usual.surroundings != 0, label="The whole photo takes the colors of the style", elem_id="around"
            )
            upscale = gr.Radio(_SHARP, value=usual.upscale, label="Upscaling", info="Of faces larger than the model draws")
            keep = gr.CheckboxGroup(
                [(part.capitalize(), part) for part in FEATURES],
                label="Keep as they are",
                info="Parts of the face",
                elem_id="keep",
            )
        return [strength, fidelity, hair, color, around, upscale, keep]

    def connect(self) -> None:
        """Let the elements do what they do."""
        seen = [self.result, self.message]
        self.photo.upload(self._take_photo, self.controls, [self.photo, *seen], **OURS)
        self.cards.select(self._choose, self.controls, seen, **OURS)
        self.reference.upload(self._take_reference, None, [self.reference, self.learn, self.own_colors, self.learning], **OURS)
        learned = self.learn.click(
            self._learn, self.own_colors, [self.learning, self.learn, self.stop, self.cards], **OURS
        )  # fmt: skip
        learned.then(self.draw, self.controls, seen, **OURS)
        self.stop.click(self._stop, None, None, **OURS)
        gr.on([control.change for control in self.controls], self._redraw, self.controls, seen, **OURS)

    # -- what happens ------------------------------------------------------------------------------------------------------

    def _take_photo(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        visitor = self.who(request)
        try:
            upload = self.desk.take(visitor, event.name, event.size, event.path)
            zone = drop_zone("Drop a photo here", "", image=self.desk.preview(visitor, upload), name=upload.name)
        except MienError as error:
            yield [gr.skip(), gr.skip(), problem(str(error))]
            return
        visitor.photo = upload
        yield [zone, gr.skip(), ""]
        for view in self.desk.draw(visitor, self._config(*values)):
            yield [gr.skip(), *_changes(view)]

    def _choose(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        visitor = self.who(request)
        visitor.style = str(event.style)
        yield from self.draw(request, *values)

    def draw(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Draw the photo as the controls say."""
        try:
            for view in self.desk.draw(self.who(request), self._config(*values)):
                yield _changes(view)
        except MienError as error:
            yield [gr.skip(), problem(str(error))]

    def _redraw(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        try:
            for view in self.desk.redraw(self.who(request), self._config(*values)):
                yield _changes(view)
        except MienError as error:
            yield [gr.skip(), problem(str(error))]

    def _take_reference(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        visitor = self.who(request)
        try:
            upload = self.desk.take(visitor, event.name, event.size, event.path)
            zone = drop_zone("Drop any image of a face", "", image=self.desk.preview(visitor, upload), name=upload.name)
        except MienError as error:
            return [gr.skip(), gr.skip(), gr.skip(), problem(str(error))]
        visitor.reference = upload
        return [zone, gr.update(visible=True), gr.update(visible=True), ""]

    def _learn(self, own_colors: bool, request: gr.Request) -> Iterator[list[Any]]:
        visitor, usual = self.who(request), self.desk.studio.usual_learning
        config = replace(usual, color="photo") if own_colors else usual
        idle = [gr.update(visible=True), gr.update(visible=False)]
        try:
            for found in self.desk.learn(visitor, config):
                if isinstance(found, ShelfStyle):
                    visitor.style = found.id
                    yield ["", *idle, self.card_html(visitor)]
                else:
                    yield [found, gr.update(visible=False), gr.update(visible=True), gr.skip()]
        except AbandonedError:
            yield ["", *idle, gr.skip()]
        except MienError as error:
            yield [problem(str(error)), *idle, gr.skip()]

    def _stop(self, request: gr.Request) -> None:
        job = self.who(request).learning
        if job is not None:
            job.stop()

    def _config(self, *values: Any) -> RenderConfig:
        """What the controls say."""
        strength, fidelity, hair, color, around, upscale, keep = values
        kept = dict.fromkeys(keep, 1.0)
        usual = self.desk.studio.usual_drawing
        usual = replace(usual, surroundings=(usual.surroundings or "auto") if around else 0.0)
        return replace(usual, strength=strength, fidelity=fidelity, hair=hair, photo_color=color, upscale=upscale, keep=kept)

    def card_html(self, visitor: Visitor) -> str:
        """The cards as this visitor sees them."""
        return cards(self.desk.cards(visitor), visitor.style)


def _changes(view: View) -> list[Any]:
    return [gr.skip() if part is None else part for part in (view.result, view.message)]
