"""Visitors' moving images: camera frames, drawn one by one, and whole clips."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from mien.errors import InputError, MienError
from mien.mappers import GeneratorMapper, Mapper
from mien.media.image_input import to_pil
from mien.media.images import decode_image
from mien.streaming import Stream
from mien.web.rest import finished, refused
from mien.web.studio import Latest, Studio
from mien.web.uploads import Limits
from mien.web.visitors import Visitor, Visitors

_FRAME = Limits(2 << 20, 2_100_000)
_QUALITY = 88
_MAPPERS = 3  # styles that are held ready: each is a folded generator


class Cameras:
    """Draws the frames of all cameras: the networks are shared, tracking state is not."""

    def __init__(self, studio: Studio) -> None:
        """Nothing is loaded before the first frame."""
        self.studio = studio
        self._mappers: Latest[Mapper] = Latest(_MAPPERS)

    def draw(self, visitor: Visitor, style: str | Path, frame: bytes) -> bytes:
        """A frame, an image file, in the style: as JPEG. Raises `InputError` if it is not an image."""
        _FRAME.check(len(frame), "The frame")
        image = to_pil(decode_image(frame, Path("the frame"), most_pixels=_FRAME.pixels)).convert("RGB")
        if visitor.stream is None or visitor.stream_of != str(style):
            visitor.stream = Stream([self.mapper(style)], render=self.studio.usual_drawing)
            visitor.stream_of = str(style)
        drawn = visitor.stream(np.asarray(image))
        stream = io.BytesIO()
        Image.fromarray(drawn).save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()

    def mapper(self, style: str | Path) -> Mapper:
        """What draws faces in the style; the latest are held ready."""
        pipe = self.studio.stylizer
        return self._mappers.get(str(style), lambda: GeneratorMapper(pipe.model, self.studio.style(style), dtype=pipe.dtype))


def add_frames(app: FastAPI, visitors: Visitors, cameras: Cameras) -> None:
    """Add the endpoint for camera frames: a visitor posts one and gets it back stylized."""

    @app.post("/visits/{token}/frame")
    async def frame(token: str, request: Request) -> Response:
        try:
            visitor, sent = visitors.by_token(token), await request.body()
            if visitor is None:
                raise InputError("This page was closed: reload it.")
            style = visitor.chosen()
            job = cameras.studio.frames.join(lambda progress: cameras.draw(visitor, style, sent))
            drawn = await asyncio.wait_for(finished(job, request, every=0.005), 30)
            return Response(drawn, media_type="image/jpeg", headers={"cache-control": "no-store"})
        except MienError as error:
            return refused(error)
