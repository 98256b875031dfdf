"""`mien serve`: the page in a browser, and the REST calls."""

from __future__ import annotations

import webbrowser
from typing import Annotated

from typer import Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import InvertingModel
from mien.cli.password import asked_password
from mien.cli.result import Report
from mien.web.config import ServeConfig

EXAMPLES = (
    "mien serve --open",
    "mien serve --port 8000 --quiet",
    "MIEN_PASSWORD=... mien serve --host 0.0.0.0",
)
NEEDS_ARGUMENTS = False


def run(
    config: ServeConfig,
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    open_: Annotated[bool, Option("--open", help="Open the page in the browser.")] = False,
) -> Report:
    """Serve a web page: drop a photo, pick a style or learn one. Ctrl-C stops it.

    It is visible to this computer only, unless --host says otherwise; then a password is required.
    """
    config = asked_password(config)
    config.check_password()

    from mien.web.server import serve

    def ready(address: str) -> None:
        if not screen.quiet:
            print(f"{address}  (Ctrl-C ends it)", flush=True)
        if open_:
            webbrowser.open(address)

    serve(config, model=model.stylizer(machine), ready=ready)
    return Report()
