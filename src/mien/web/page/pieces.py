"""Pieces of the page as HTML. Whatever comes from visitors is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mien.web.waiting_line import Status


@dataclass(frozen=True)
class Card:
    """A style to choose: its id, its name, and the address of its image."""

    id: str
    name: str
    image: str


HEADER = """
<header class="masthead">
  <h1>mien</h1>
  <p>Your face, drawn in any style. Images stay on the computer that serves this page.</p>
</header>"""

_IMAGE_ICON = (
    '<svg viewBox="0 0 48 48" aria-hidden="true"><rect x="6" y="9" width="36" height="30" rx="5"/>'
    '<circle cx="24" cy="21" r="5.5"/><path d="M13 36c2-6 6-8.500 11-8.500s9 2.500 11 8.500"/></svg>'
)


def drop_zone(title: str, hint: str, *, image: str | None = None, name: str = "") -> str:
    """A place to drop or choose a file, with the current image."""
    inside = (
        f'<img src="{escape(image)}" alt="{escape(name)}"><span class="replace">Change</span>'
        if image
        else f"{_IMAGE_ICON}<b>{escape(title)}</b><span>{escape(hint)}</span>"
    )
    kind = "drop filled" if image else "drop"
    return f'<label class="{kind}"><input type="file" aria-label="{escape(title)}">{inside}</label>'


def cards(styles: Iterable[Card], chosen: str) -> str:
    """The styles as images, of which one is chosen."""
    buttons = "".join(
        f'<button type="button" role="radio" aria-checked="{str(style.id == chosen).lower()}" data-style="{escape(style.id)}">'
        f'<img src="{escape(style.image)}" alt="" loading="lazy"><span>{escape(style.name)}</span></button>'
        for style in styles
    )
    return f'<div class="cards" role="radiogroup" aria-label="Style">{buttons}</div>'


def welcome(before: str, after: str) -> str:
    """Shown before there is a result: the effect on a synthetic face."""
    return (
        '<div class="welcome"><div class="pair">'
        f'<img src="{escape(before)}" alt="A synthetic face">'
        '<span aria-hidden="true">&rarr;</span>'
        f'<img src="{escape(after)}" alt="The same face, drawn"></div>'
        "<p><b>Drop a photo with a face.</b> It is drawn in the style you pick, in place, in the whole photo.</p></div>"
    )


def compare(before: str, after: str, size: tuple[int, int], name: str) -> str:
    """The photo and the result over each other, with a slider between."""
    return (
        f'<figure class="compare" style="--at:50%;--ratio:{size[0]}/{size[1]}">'
        f'<img src="{escape(after)}" alt="The photo in the style {escape(name)}">'
        f'<img class="before" src="{escape(before)}" alt="The photo as it was">'
        '<span class="tag left">Before</span><span class="tag right">After</span><span class="bar" aria-hidden="true"></span>'
        '<input type="range" min="0" max="100" value="50" aria-label="Compare before and after" '
        "oninput=\"this.parentNode.style.setProperty('--at', this.value + '%')\"></figure>"
    )


def downloads(links: Sequence[tuple[str, str, str]]) -> str:
    """Links (address, file name, text), the first one stressed."""
    made = "".join(
        f'<a class="action{"" if index else " strong"}" href="{escape(address)}" download="{escape(name)}">{escape(text)}</a>'
        for index, (address, name, text) in enumerate(links)
    )
    return f'<div class="downloads">{made}</div>'


def notes(texts: Iterable[str]) -> str:
    """What is to be known of a result."""
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts)


def problem(text: str) -> str:
    """An error, in the words of the terminal."""
    return f'<p class="problem" role="alert">{escape(text)}</p>'


def working(what: str, status: Status) -> str:
    """A progress bar, or the position in the queue."""
    if not status.running:
        ahead = status.ahead
        others = f"{ahead} {'person is' if ahead == 1 else 'people are'} before you"
        text = f"Waiting: {others}" if ahead else "Waiting for your turn"
        return f'<div class="working" role="status"><p>{text}</p><div class="track idle"><i></i></div></div>'
    left = f", {_time(status.seconds_left)} left" if status.seconds_left is not None else ""
    steps = f": {status.done} of {status.total}{left}" if status.done else ""
    idle = "" if status.done else " idle"
    return (
        f'<div class="working" role="status"><p>{escape(what)}{steps}</p>'
        f'<div class="track{idle}"><i style="width:{status.share:.0%}"></i></div></div>'
    )


def so_far(address: str) -> str:
    """What a style that is being learned draws by now."""
    text = "The reference and synthetic faces; below, the same in the style so far"
    return f'<figure class="so-far"><img src="{escape(address)}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _time(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(5, 5 * round(seconds / 5))} s"


def camera(address: str) -> str:
    """The stylized camera image; frames are posted to the address."""
    return (
        f'<div class="camera" data-address="{escape(address)}"><p class="problem" role="alert" hidden></p>'
        '<canvas width="640" height="480" aria-label="What the camera sees, drawn"></canvas>'
        '<nav><button type="button" class="action strong" data-do="start">Start the camera</button>'
        '<button type="button" class="action strong" data-do="take" hidden>Take an image</button>'
        '<button type="button" class="action" data-do="stop" hidden>Stop</button></nav>'
        '<small class="rate">Frames are drawn by the server and kept nowhere.</small></div>'
    )


def clip(address: str, name: str, *, moving: bool) -> str:
    """A stylized clip; `moving`: an animation, not a video."""
    made = escape(address)
    shown = (
        f'<img class="clip" src="{made}" alt="{escape(name)}">'
        if moving
        else f'<video class="clip" src="{made}" controls></video>'
    )
    return shown + downloads([(address, name, "Download video")])


@dataclass(frozen=True)
class Row:
    """A style of the visitor's own in the list of them."""

    id: str
    name: str
    image: str
    file: str
    kept: bool


def shelf(rows: Sequence[Row]) -> str:
    """The visitor's own styles with what can be done with each."""
    if not rows:
        return '<p class="empty">Nothing here yet. Learn a style from an image, or add a style file.</p>'
    return '<ul class="shelf">' + "".join(_shelf_row(row) for row in rows) + "</ul>"


def _shelf_row(row: Row) -> str:
    name = escape(row.name)
    keep = "" if row.kept else '<button type="button" class="action" data-do="keep">Keep</button>'
    state = "Kept on this computer" if row.kept else "Only until this page is closed"
    return (
        f'<li data-style="{escape(row.id)}"><img src="{escape(row.image)}" alt="">'
        f'<div><input value="{name}" aria-label="Name of the style {name}" maxlength="60" data-do="rename">'
        f'<small>{state}</small></div><nav><button type="button" class="action strong" data-do="use">Use</button>{keep}'
        f'<a class="action" href="{escape(row.file)}" download="{name}.safetensors">Download</a>'
        '<button type="button" class="action" data-do="delete">Delete</button></nav></li>'
    )
