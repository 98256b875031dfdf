"""The visitors of the page: each has a folder, which is removed when they leave, and work, which stops then."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.streaming import Stream
from mien.web.shelf import Shelf
from mien.web.uploads import Upload
from mien.web.waiting_line import Job

READY = "ready:"
"""Before the name of a ready style, in its id."""


@dataclass
class Visitor:
    """One open page."""

    folder: Path
    shelf: Shelf
    style: str = ""
    """Id of the chosen style."""
    drawn: str = ""
    """Id of the style that is shown."""
    photo: Upload | None = None
    reference: Upload | None = None
    drawing: Job[Any] | None = None
    learning: Job[Any] | None = None
    clip: Upload | None = None
    filming: Job[Any] | None = None
    stream: Stream | None = None
    """What follows the faces before the camera."""
    stream_of: str = ""
    """The style that it draws in."""
    moved: int = 0
    """How often a control was moved."""
    sent: set[Path] = field(default_factory=set)
    """Files of the upload folder that came from here."""

    @property
    def token(self) -> str:
        """The name of its folder, which nobody can guess."""
        return self.folder.name

    def chosen(self) -> str | Path:
        """The chosen style: a ready one by name, or a file. Raises `InputError` where it is not there any more."""
        return self.style.removeprefix(READY) if self.style.startswith(READY) else self.shelf.find(self.style).path

    def stop(self) -> None:
        """End all work for this page."""
        for job in (self.drawing, self.learning, self.filming):
            if job is not None:
                job.stop()


class Visitors:
    """All visitors of the page, by their browser's session."""

    def __init__(self, folder: Path, kept_styles: Path) -> None:
        """`folder` gets a folder for each visitor, `kept_styles` one for each browser that keeps something."""
        self.folder, self.kept_styles = folder, kept_styles
        self._present: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def of(self, session: str, browser: str) -> Visitor:
        """The visitor of a session, who enters where it is new. `browser` is the secret that a browser holds."""
        with self._lock:
            if session not in self._present:
                folder = self.folder / secrets.token_urlsafe(16)
                folder.mkdir(parents=True)
                kept = self.kept_styles / hashlib.sha256(browser.encode()).hexdigest()[:16]
                self._present[session] = Visitor(folder, Shelf(folder / "styles", kept))
            return self._present[session]

    def by_token(self, token: str) -> Visitor | None:
        """Whose folder has this name."""
        with self._lock:
            return next((visitor for visitor in self._present.values() if visitor.token == token), None)

    def leave(self, session: str) -> None:
        """Forget a session: its work is stopped, and its files are removed."""
        with self._lock:
            visitor = self._present.pop(session, None)
            others = {path for other in self._present.values() for path in other.sent}
        if visitor is not None:
            visitor.stop()
            shutil.rmtree(visitor.folder, ignore_errors=True)
            for path in visitor.sent - others:
                shutil.rmtree(path.parent, ignore_errors=True)

    def close(self) -> None:
        """Everybody leaves."""
        for session in list(self._present):
            self.leave(session)
