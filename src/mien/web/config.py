"""Settings of the server. Imports nothing heavy: the command reads its options from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mien.errors import InputError

PASSWORD_VARIABLE = "MIEN_PASSWORD"
_LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeConfig:
    """Where the page is served, who may see it, and how much of this machine its visitors may take."""

    host: Annotated[str, "address to listen on: 127.0.0.1 is this computer only, 0.0.0.0 every network interface"] = _LOCAL[0]
    port: Annotated[int, "port to listen on; 0: any that is free"] = 7860
    password: Annotated[
        str | None,
        "password that visitors are asked for (the name does not matter); None: none on this computer alone, elsewhere the "
        f"environment variable {PASSWORD_VARIABLE}",
    ] = field(default=None, repr=False)
    kept_styles: Annotated[Path | None, "folder for the styles that visitors keep; None: the user's data folder"] = None
    upload_mib: Annotated[int, "largest upload in MiB"] = 64
    upload_megapixels: Annotated[int, "largest image in megapixels, checked before decoding"] = 50
    learners: Annotated[int, "styles learned at the same time; further ones wait"] = 2
    painters: Annotated[int, "photos drawn at the same time; further ones wait"] = 1
    waiting: Annotated[int, "maximum number of waiting requests; further ones are asked to try again later"] = 16

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"`port` is a number from 0 to 65535, got {self.port}.")
        for name in ("upload_mib", "upload_megapixels", "learners", "painters", "waiting"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be 1 or more, got {getattr(self, name)}.")
        if self.password == "":
            raise InputError("An empty `password` keeps nobody out: choose one.")

    @property
    def local(self) -> bool:
        """Whether this computer alone can see the page."""
        return self.host in _LOCAL or self.host.startswith("127.")

    def check_password(self) -> None:
        """Raise `InputError` where others could see the page without a password."""
        if not self.local and self.password is None:
            raise InputError(
                f"Others can reach {self.host}, so a password is needed: set the environment variable {PASSWORD_VARIABLE}, "
                "or give `password`."
            )
