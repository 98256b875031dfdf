"""Image after image: photos are read ahead, searched once, and drawn in every requested style."""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mien.batch.plan import Job
from mien.errors import MienError
from mien.faces.config import AlignConfig
from mien.media.storage import read_photo, write_photo
from mien.render_config import RenderConfig

if TYPE_CHECKING:
    from pathlib import Path

    from mien.faces.results import AlignedPhoto
    from mien.media.image_data import ImageData
    from mien.pipeline import Stylizer
    from mien.styles import Style

_AHEAD = 2  # photos that are read while one is worked on


@dataclass(frozen=True)
class Order:
    """What is done with every photo."""

    config: RenderConfig = field(default_factory=RenderConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    overwrite: bool = False
    compare: bool = False
    """Whether before and after are written side by side."""

    @property
    def drawn(self) -> AlignConfig:
        """Which faces are drawn: in a crop one, the largest unless `align` says otherwise."""
        return self.align.one() if self.config.crop else self.align


@dataclass(frozen=True)
class Done:
    """The outcome of one image."""

    job: Job
    style: str
    """The name of the style."""
    seconds: float
    """That it took; for the first style of a photo with reading it and finding its faces."""
    faces: tuple[float, ...] | None = None
    """Pixels of the photo per pixel of the model, of each face; None if unknown."""
    error: MienError | None = None
    notes: tuple[str, ...] = ()
    """What the worker of a cluster warned of."""
    worker: str = ""
    """Host and process that made it."""

    def document(self) -> dict[str, Any]:
        """A line of the account."""
        return {
            "input": str(self.job.photo),
            "output": str(self.job.out),
            "style": self.style,
            "faces": None if self.faces is None else len(self.faces),
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
            "worker": self.worker,
        }


def each_done(
    pipe: Stylizer, styles: Sequence[Style], jobs: Sequence[Job], order: Order, *, aligned_photo: AlignedPhoto | None = None,
    write: Callable[[Path, ImageData], None] | None = None,
) -> Iterator[Done]:  # fmt: skip
    """Make the images one after the other; one that fails says so in its `Done`, and the work goes on.

    Jobs of one photo must follow each other: it is read and searched once. `aligned_photo` is the first photo, if its faces
    were found before. `write` writes the images; None: as `write_photo` does.
    """
    write = write or partial(write_photo, overwrite=order.overwrite)
    of_photos = [(photo, list(same)) for photo, same in groupby(jobs, key=lambda job: job.photo)]
    images = _read_ahead([photo for photo, _ in of_photos][1 if aligned_photo else 0 :])
    try:
        for _, same in of_photos:
            begun = time.monotonic()
            photo: AlignedPhoto | MienError
            try:
                photo = aligned_photo or pipe.align(next(images).result(), order.drawn)
            except MienError as error:
                photo = error
            for job in same:
                yield _done(pipe, styles[job.style], job, order, photo, write, begun)
                begun = time.monotonic()
            aligned_photo = None
    finally:
        images.close()


def _done(
    pipe: Stylizer, style: Style, job: Job, order: Order, photo: AlignedPhoto | MienError,
    write: Callable[[Path, ImageData], None], begun: float,
) -> Done:  # fmt: skip
    error: MienError | None = None
    faces: tuple[float, ...] | None = None
    try:
        if isinstance(photo, MienError):
            raise photo
        result = pipe.apply(style, photo, order.config)
        write(job.out, result.compared() if order.compare else result.image_data)
        faces = tuple(round(face.scale, 3) for face in result.faces)
    except MienError as problem:
        error = problem
    return Done(job, style.name, time.monotonic() - begun, faces, error, worker=f"{platform.node()}:{os.getpid()}")


def _read_ahead(photos: Sequence[Path]) -> Generator[Future[ImageData], None, None]:
    """The photos in their order, each read in a thread while the ones before are worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        waiting: deque[Future[ImageData]] = deque()
        try:
            for photo in photos:
                waiting.append(pool.submit(read_photo, photo))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
