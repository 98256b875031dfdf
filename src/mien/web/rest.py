"""The REST calls: `GET api/styles` and `POST api/stylize`. Errors are JSON, with the same sentence as in the terminal."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fastapi import FastAPI
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mien.config import from_mapping
from mien.errors import InputError, MienError, TooLargeError, shown
from mien.faces.results import Result
from mien.files import parse_json
from mien.media.images import encode_image
from mien.oneshot.config import OneShotConfig
from mien.render_config import RenderConfig
from mien.shipped import unknown_style
from mien.styles import list_styles, ready_styles
from mien.web.studio import DRAWING, LEARNING, Studio, check_modest
from mien.web.uploads import Upload
from mien.web.waiting_line import AbandonedError, Job, TooBusyError

T = TypeVar("T")
S = TypeVar("S", RenderConfig, OneShotConfig)
_KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_FIELDS = ("photo", "style", "reference", "drawing", "learning")
_POLL_SECONDS = 0.2


def status_of(error: MienError) -> int:
    """The HTTP status of an error of the library."""
    kinds = {TooLargeError: 413, TooBusyError: 429, AbandonedError: 499}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 400)


def refused(error: MienError, uploads: Sequence[Upload] = ()) -> JSONResponse:
    """An error as JSON, with the client's own names of its files."""
    status, said = status_of(error), str(error)
    for upload in uploads:
        said = said.replace(str(upload.path), upload.name)
    return JSONResponse({"error": said}, status, {"retry-after": "60"} if status == 429 else None)


@dataclass(frozen=True)
class _Order:
    photo: Upload
    style: str | Path | None
    reference: Upload | None
    drawing: RenderConfig
    learning: OneShotConfig


def add_calls(app: FastAPI, studio: Studio, folder: Path) -> None:
    """Add the REST calls to the application. Uploads lie in a folder below `folder` while they are processed."""

    @app.get("/api/styles")
    async def styles() -> JSONResponse:
        return JSONResponse({"styles": [{"name": name, "card": f"cards/{name}.webp"} for name in list_styles()]})

    @app.post("/api/stylize")
    async def stylize(request: Request) -> Response:
        place = folder / secrets.token_urlsafe(16)
        place.mkdir(parents=True)
        sent: list[Upload] = []
        try:
            async with request.form(max_files=3, max_fields=6) as form:
                order = await _order(form, place, studio, sent)
            look = order.style
            if order.reference is not None:
                learned = await finished(studio.learn([order.reference], order.learning), request)
                look = place / "learned.safetensors"
                await asyncio.to_thread(learned.save, look)
            assert look is not None
            result = await finished(studio.draw(look, order.photo, order.drawing), request)
            return await asyncio.to_thread(_answer, result, request.headers.get("accept", ""))
        except MienError as error:
            return refused(error, sent)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _answer(result: Result, accept: str) -> Response:
    kind = next((media for media in _KINDS if media in accept), "image/png")
    headers = {"x-mien-notes": json.dumps(result.notes)} if result.notes else None
    return Response(encode_image(result.image_data, _KINDS[kind]), media_type=kind, headers=headers)


async def finished(job: Job[T], request: Request, *, every: float = _POLL_SECONDS) -> T:
    """The result of a job; a client that hangs up stops it."""
    while not job.finished:
        if await request.is_disconnected():
            job.stop()
            raise AbandonedError("The client went away.")
        await asyncio.sleep(every)
    return job.result()


async def _order(form: FormData, place: Path, studio: Studio, sent: list[Upload]) -> _Order:
    """The request; every uploaded file is added to `sent`."""
    unknown = sorted(set(form) - set(_FIELDS))
    if unknown:
        raise InputError(f"There is no field '{unknown[0]}': the fields are {', '.join(_FIELDS)}.")
    files = {name: await _file(form, name, place, studio) for name in ("photo", "reference") if name in form}
    if isinstance(form.get("style"), UploadFile):
        files["style"] = await _file(form, "style", place, studio)
    sent += files.values()
    photo, reference = files.get("photo"), files.get("reference")
    if photo is None:
        raise InputError("A photo is needed: send one as the field 'photo'.")
    if (reference is None) == ("style" not in form):
        raise InputError("A photo takes its style either from a reference or from a finished style: send one of the two.")
    style: str | Path | None = None
    if "style" in files:
        style = files["style"].path
    elif reference is None:
        style = _ready(str(form["style"]))
    drawing = _settings(form, "drawing", studio.usual_drawing, DRAWING)
    learning = _settings(form, "learning", studio.usual_learning, LEARNING)
    check_modest(drawing, learning)
    return _Order(photo, style, reference, drawing, learning)


def _ready(name: str) -> str:
    """The name of a ready style; files of the server cannot be named."""
    if name.lower() not in ready_styles():
        raise unknown_style(name)
    return name.lower()


async def _file(form: FormData, name: str, place: Path, studio: Studio) -> Upload:
    sent = form[name]
    if not isinstance(sent, UploadFile):
        raise InputError(f"The field '{name}' must be a file: with curl, write -F {name}=@FILE.")
    studio.limits.check(sent.size or 0, sent.filename or name)
    return Upload.keep(await sent.read(), sent.filename or name, place)


def _settings(form: FormData, name: str, usual: S, known: tuple[str, ...]) -> S:
    """The default settings, changed by those in a JSON document, by their names in Python."""
    text = form.get(name, "{}")
    if isinstance(text, UploadFile):
        raise InputError(f"The field '{name}' must be a JSON document, not a file.")
    values = parse_json(text, Path(name))
    if not isinstance(values, dict):
        raise InputError(f"The field '{name}' must be a JSON document such as {{\"strength\": 0.8}}.")
    for setting in values:
        if setting not in known:
            raise InputError(f"The field '{name}' has no setting {shown(setting)!r}: the settings are {', '.join(known)}.")
    given = from_mapping(type(usual), values, f"the field '{name}'")
    return replace(usual, **{setting: getattr(given, setting) for setting in values})
