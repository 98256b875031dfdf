"""The password of a server: from the environment or typed in, so that no list of processes shows it."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace

from mien.web.config import PASSWORD_VARIABLE, ServeConfig


def asked_password(config: ServeConfig) -> ServeConfig:
    """The settings with the password of the environment; where one is needed and nobody gave it, a terminal is asked."""
    if config.password is not None:
        return config
    found = os.environ.get(PASSWORD_VARIABLE)
    if not found and not config.local and sys.stdin.isatty():
        found = getpass.getpass("Password for the page: ")
    return replace(config, password=found) if found else config
