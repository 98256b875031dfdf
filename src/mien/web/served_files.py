"""The files that the page shows: style cards, ready styles for download, and each visitor's own images."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, JSONResponse, Response

from mien.styles import list_styles, ready_styles
from mien.web.page.desk import PLAIN_CARD, file_at
from mien.web.shelf import CARD, SUFFIX
from mien.web.studio import Studio
from mien.web.visitors import Visitors

_CARD_QUALITY = 90


def draw_cards(studio: Studio, folder: Path) -> None:
    """Draw the synthetic face in every ready style, and as the model draws it by itself."""
    folder.mkdir()
    for name in (None, *list_styles()):
        studio.card(name).save(folder / f"{name or PLAIN_CARD}{CARD}", quality=_CARD_QUALITY)


def add_files(app: FastAPI, visitors: Visitors, cards: Path) -> None:
    """Add these files to the application. A visitor's files have names that others cannot guess."""

    @app.get("/cards/{name}")
    def card(name: str) -> Response:
        known = {f"{style}{CARD}" for style in (PLAIN_CARD, *list_styles())}
        return FileResponse(cards / name, headers={"cache-control": "max-age=600"}) if name in known else _nothing()

    @app.get("/styles/{name}")
    def style(name: str) -> Response:
        path = ready_styles().get(name.removesuffix(SUFFIX))
        return FileResponse(path, filename=path.name) if path is not None else _nothing()

    @app.get("/visits/{token}/{place}/{name}")
    def visit(token: str, place: str, name: str) -> Response:
        visitor = visitors.by_token(token)
        path = file_at(visitor, place, name) if visitor is not None else None
        return FileResponse(path, headers={"cache-control": "private, no-store"}) if path is not None else _nothing()


def _nothing() -> Response:
    return JSONResponse({"error": "There is nothing here: reload the page."}, 404)
