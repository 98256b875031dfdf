"""The tab *Camera*: one's own face in the chosen style, as it moves."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mien.web.page.desk import Desk
from mien.web.page.elements import OURS, style_cards
from mien.web.page.pieces import camera, cards
from mien.web.page.stylize_tab import Who

_CAMERA = """
const video = document.createElement('video'), grab = document.createElement('canvas');
video.playsInline = true; video.muted = true;
let media = null;
const part = name => element.querySelector(name);
const say = text => { const line = part('.problem'); line.textContent = text; line.hidden = !text; };
const show = on => {
  part('[data-do=start]').hidden = on;
  for (const name of ['stop', 'take']) part('[data-do=' + name + ']').hidden = !on;
};
function stop() { if (media) media.getTracks().forEach(track => track.stop()); media = null; show(false); }
async function start() {
  say('');
  if (!navigator.mediaDevices) { say('Browsers give the camera to pages of this computer, or with https, only.'); return; }
  try { media = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480}, audio: false}); }
  catch (problem) { say('The camera cannot be used: ' + problem.message + '.'); return; }
  video.srcObject = media; await video.play(); show(true);
  const canvas = part('canvas'), mine = media;
  let frames = 0, since = performance.now();
  while (media === mine) {
    grab.width = video.videoWidth; grab.height = video.videoHeight;
    grab.getContext('2d').drawImage(video, 0, 0);
    const frame = await new Promise(done => grab.toBlob(done, 'image/jpeg', 0.9));
    let reply = null;
    try { reply = await fetch(part('.camera').dataset.address, {method: 'POST', body: frame}); } catch (problem) { }
    if (media !== mine) break;
    if (!reply || !reply.ok) {
      say(reply ? (await reply.json()).error : 'The server does not answer: is it still running?'); stop(); break;
    }
    const drawn = await createImageBitmap(await reply.blob());
    canvas.width = drawn.width; canvas.height = drawn.height;
    canvas.getContext('2d').drawImage(drawn, 0, 0);
    canvas.dataset.frames = ++frames;
    if (frames % 10 === 0) {
      part('.rate').textContent = (10000 / (performance.now() - since)).toFixed(1) + ' images a second';
      since = performance.now();
    }
    if (element.offsetParent === null) stop();
  }
}
element.addEventListener('click', event => {
  const what = event.target.dataset.do;
  if (what === 'start') start();
  if (what === 'stop') stop();
  if (what === 'take') {
    const link = document.createElement('a');
    link.href = part('canvas').toDataURL('image/png'); link.download = 'mien.png'; link.click();
  }
});
"""


class CameraTab:
    """Its elements, and what they do."""

    def __init__(self, desk: Desk, who: Who) -> None:
        """Build it, in the gradio block that is open."""
        self.desk, self.who = desk, who
        with gr.Column(elem_id="camera-column"):
            self.cards = style_cards(cards([], ""), elem_id="camera-cards")
            self.camera = gr.HTML(camera(""), js_on_load=_CAMERA, elem_id="camera", apply_default_css=False)

    def connect(self, tab: Any, other_cards: Any) -> None:
        """Connect the elements' events; a style chosen here is chosen in the other tab too."""
        self.cards.select(self._choose, None, other_cards, **OURS)
        tab.select(self._enter, None, [self.cards, self.camera], **OURS)

    def _choose(self, request: gr.Request, event: gr.EventData) -> str:
        visitor = self.who(request)
        visitor.style = str(event.style)
        return cards(self.desk.cards(visitor), visitor.style)

    def _enter(self, request: gr.Request) -> list[str]:
        visitor = self.who(request)
        return [cards(self.desk.cards(visitor), visitor.style), camera(f"visits/{visitor.token}/frame")]
