"""A server of the page that runs in this process, with few steps of everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.oneshot.config import OneShotConfig
from mien.render_config import RenderConfig
from mien.web.config import ServeConfig

EXAMPLES = Path(__file__).parent.parent / "examples"
QUICK_LEARNING = OneShotConfig(steps=1, reference_views=1, mirror=False, mixing_latents="mapping", distribution_weight=0.0)
QUICK_DRAWING = RenderConfig(refine_steps=0, surroundings=0.0)


@dataclass
class Served:
    """A server and what a test may want to look into."""

    address: str
    studio: Any
    folder: Path
    kept: Path


@contextmanager
def serving(config: ServeConfig) -> Iterator[Served]:
    """The page and the calls at an address of this computer, until the block ends."""
    import uvicorn

    from mien.web.server import application, listening

    with application(config, learning=QUICK_LEARNING, drawing=QUICK_DRAWING) as app, listening(config) as listener:
        running = uvicorn.Server(uvicorn.Config(app.guarded, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not running.started and time.monotonic() < deadline:
            time.sleep(0.05)
        assert config.kept_styles is not None
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", app.studio, app.folder, config.kept_styles)
        running.should_exit = True
        thread.join(20)


def write_clip(path: Path, frames: int = 5) -> None:
    """A clip of the example portrait for a browser that takes it for a camera: YUV4MPEG2, 4:2:0."""
    image = Image.open(EXAMPLES / "portrait.png").convert("YCbCr")
    planes = [np.asarray(channel) for channel in image.split()]
    frame = planes[0].tobytes() + b"".join(np.ascontiguousarray(plane[::2, ::2]).tobytes() for plane in planes[1:])
    head = f"YUV4MPEG2 W{image.width} H{image.height} F10:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + (b"FRAME\n" + frame) * frames)
