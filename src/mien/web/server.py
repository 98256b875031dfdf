"""The server: the page and the calls as one application, and `mien.serve`, which runs it."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.config import changed
from mien.errors import InputError
from mien.web.config import PASSWORD_VARIABLE, ServeConfig

if TYPE_CHECKING:
    from mien.oneshot.config import OneShotConfig
    from mien.pipeline import Stylizer
    from mien.render_config import RenderConfig
    from mien.web.guard import Guard
    from mien.web.studio import Studio

_MISSING = 'The page needs gradio: install it with pip install "mien[web]".'
# Before gradio is imported: it counts no visits, asks no registry for its newest version, and looks for no models.
_SILENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def serve(
    config: ServeConfig | None = None, *, model: str | Path | Stylizer | None = None, learning: OneShotConfig | None = None,
    drawing: RenderConfig | None = None, ready: Callable[[str], None] | None = None, **settings: Any,
) -> None:  # fmt: skip
    """Serve the page and the REST calls until it is stopped with Ctrl-C; see docs/web.md.

    `settings` are those of `config` by name, as in `port=8000`. `model` is a name or file, or a `Stylizer`. `learning` and
    `drawing` say how styles are learned and photos drawn where visitors do not. `ready` is called with the address once it can
    be opened. Raises `InputError` where others could see the page without a password, where the port is taken, and where gradio
    is not installed.
    """
    config = changed(config or ServeConfig(), settings)
    if config.password is None and not config.local:
        config = replace(config, password=os.environ.get(PASSWORD_VARIABLE) or None)
    config.check_password()
    with application(config, model=model, learning=learning, drawing=drawing) as app, listening(config) as listener:
        import uvicorn

        host = f"[{config.host}]" if ":" in config.host else config.host
        if ready is not None:
            ready(f"http://{host}:{listener.getsockname()[1]}")
        options = uvicorn.Config(app.guarded, log_level="warning", timeout_graceful_shutdown=2, server_header=False)
        uvicorn.Server(options).run(sockets=[listener])


@dataclass
class Application:
    """An ASGI application, and what is behind it."""

    guarded: Guard
    studio: Studio
    folder: Path


@contextmanager
def application(
    config: ServeConfig, *, model: str | Path | Stylizer | None = None, learning: OneShotConfig | None = None,
    drawing: RenderConfig | None = None,
) -> Iterator[Application]:  # fmt: skip
    """The application of a server; its folder is removed, and its work stops, when the block ends."""
    _prepare_gradio()
    from mien.pipeline import Stylizer
    from mien.web.studio import Studio

    with tempfile.TemporaryDirectory(prefix="mien-web-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        stylizer = model if isinstance(model, Stylizer) else Stylizer.load(model)
        studio = Studio(stylizer, config, learning=learning, drawing=drawing)
        try:
            yield Application(_assemble(config, studio, folder), studio, folder)
        finally:
            studio.close()


def _prepare_gradio() -> None:
    os.environ.update(_SILENT)
    try:
        import gradio  # noqa: F401
    except ImportError as missing:
        raise InputError(_MISSING) from missing


def _assemble(config: ServeConfig, studio: Studio, folder: Path) -> Guard:
    uploads = folder / "uploads"
    uploads.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # gradio asks for it when elements are made, and at every upload
    import gradio
    from fastapi import FastAPI

    from mien.web.guard import Guard
    from mien.web.live import Cameras, add_frames
    from mien.web.page.desk import Desk
    from mien.web.page.look import STYLE_SHEET, theme
    from mien.web.page.page import build_page
    from mien.web.rest import add_calls
    from mien.web.served_files import add_files, draw_cards
    from mien.web.shelf import usual_folder
    from mien.web.visitors import Visitors

    visitors = Visitors(folder / "visitors", config.kept_styles or usual_folder())
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    draw_cards(studio, folder / "cards")
    add_files(app, visitors, folder / "cards")
    add_calls(app, studio, folder / "calls")
    add_frames(app, visitors, Cameras(studio))
    page = build_page(Desk(studio, uploads), visitors)
    app = gradio.mount_gradio_app(
        app, page, path="", footer_links=[], run_history=False, ssr_mode=False, enable_monitoring=False, pwa=False,
        mcp_server=False, max_file_size=config.upload_mib << 20, theme=theme(), css_paths=STYLE_SHEET, show_error=True,
    )  # fmt: skip
    hosts = ("127.0.0.1", "localhost", "[::1]", config.host) if config.local else None
    return Guard(app, password=config.password, most_bytes=config.upload_mib << 20, hosts=hosts)


@contextmanager
def listening(config: ServeConfig) -> Iterator[socket.socket]:
    """The socket of a server; raises `InputError` if it cannot be opened."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as listener:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
            listener.listen()
        except OSError as taken:
            raise InputError(
                f"{config.host} port {config.port} cannot be listened on ({taken.strerror or taken}): choose another `port`."
            ) from taken
        yield listener
