"""Elements of the page that gradio does not have: a drop zone that decodes nothing, image cards, a list of styles."""

from __future__ import annotations

from typing import Any

import gradio as gr

OURS: dict[str, Any] = {
    "show_progress": "hidden", "concurrency_limit": None, "trigger_mode": "multiple", "api_visibility": "private",
}  # fmt: skip
"""How all events are connected: queues are our own, and newer work of a page replaces older work."""

_DROP = """
const most = props.most;
async function take(file) {
  if (!file) return;
  if (file.size > most) { trigger('upload', {name: file.name, size: file.size, path: ''}); return; }
  element.classList.add('sending');
  try {
    const sent = await upload(file);
    trigger('upload', {name: file.name, size: file.size, path: sent.path});
  } catch (problem) {
    trigger('upload', {name: file.name, size: file.size, path: ''});
  } finally { element.classList.remove('sending'); }
}
element.addEventListener('change', event => {
  if (event.target.type !== 'file') return;
  take(event.target.files[0]);
});
element.addEventListener('dragover', event => { event.preventDefault(); element.classList.add('over'); });
element.addEventListener('dragleave', () => element.classList.remove('over'));
element.addEventListener('drop', event => {
  event.preventDefault(); event.stopPropagation(); element.classList.remove('over');
  take(event.dataTransfer.files[0]);
});
if (props.paste) document.addEventListener('paste', event => {
  const file = [...(event.clipboardData?.files || [])].find(file => file.type.startsWith('image/'));
  if (file && element.offsetParent !== null) take(file);
});
"""

_CARDS = """
element.addEventListener('click', event => {
  const card = event.target.closest('[data-style]');
  if (!card) return;
  element.querySelectorAll('[data-style]').forEach(other => other.setAttribute('aria-checked', other === card));
  trigger('select', {style: card.dataset.style});
});
"""

_SHELF = """
const say = (target, act, text) => trigger('select', {style: target.closest('[data-style]').dataset.style, act, text});
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-do]');
  if (!button) return;
  if (button.dataset.do === 'delete' && !button.dataset.sure) {
    button.dataset.sure = 1; button.textContent = 'Delete for good?';
    setTimeout(() => { delete button.dataset.sure; button.textContent = 'Delete'; }, 4000);
    return;
  }
  say(button, button.dataset.do, '');
});
element.addEventListener('change', event => {
  if (event.target.dataset.do === 'rename') say(event.target, 'rename', event.target.value);
});
"""


def drop_area(value: str, *, most_bytes: int, elem_id: str, paste: bool = False) -> Any:
    """A place for files of at most `most_bytes`; event `upload` with `name`, `size` and `path` (empty: it was not taken)."""
    return gr.HTML(value, js_on_load=_DROP, elem_id=elem_id, most=most_bytes, paste=paste, apply_default_css=False)


def style_cards(value: str, *, elem_id: str) -> Any:
    """Cards of `pieces.cards`; event `select` with the id of the `style`."""
    return gr.HTML(value, js_on_load=_CARDS, elem_id=elem_id, apply_default_css=False)


def style_list(value: str, *, elem_id: str) -> Any:
    """The list of `pieces.shelf`; event `select` with the id of the `style`, the `act` and a `text`."""
    return gr.HTML(value, js_on_load=_SHELF, elem_id=elem_id, apply_default_css=False)


def plain(value: str = "", *, elem_id: str | None = None, visible: bool = True) -> Any:
    """HTML that is only looked at."""
    return gr.HTML(value, js_on_load=None, elem_id=elem_id, visible=visible, apply_default_css=False)
