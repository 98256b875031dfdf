"""Uploads: their size is checked before anything is decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MienError, TooLargeError
from mien.files import read_bytes
from mien.media.image_data import ImageData
from mien.media.images import decode_image
from mien.web.config import ServeConfig


@dataclass(frozen=True)
class Limits:
    """How large an upload may be."""

    bytes: int
    pixels: int

    @classmethod
    def of(cls, config: ServeConfig) -> Limits:
        """Those of a server."""
        return cls(config.upload_mib << 20, config.upload_megapixels * 1_000_000)

    def check(self, size: int, name: str) -> None:
        """Raise `TooLargeError` for a file of more bytes."""
        if size > self.bytes:
            raise TooLargeError(
                f"{name} has {size / 2**20:.0f} MiB, more than the {self.bytes >> 20} that this page takes: send a smaller one."
            )


@dataclass(frozen=True)
class Upload:
    """A file of a visitor, in the visitor's own folder."""

    path: Path
    name: str
    """What the visitor calls it."""

    @classmethod
    def keep(cls, data: bytes, name: str, folder: Path) -> Upload:
        """Write an upload into a folder, under a name of ours; `name` is for messages."""
        plain = Path(name.replace("\\", "/")).name or "upload"
        path = folder / f"{hashlib.sha256(plain.encode() + data).hexdigest()[:24]}{Path(plain).suffix[:8].lower()}"
        path.write_bytes(data)
        return cls(path, plain)

    def said(self, error: MienError) -> str:
        """The message of an error, with the visitor's name of the file instead of ours."""
        return str(error).replace(str(self.path), self.name)

    def image(self, limits: Limits) -> ImageData:
        """The image in it; raises `InputError` if it is not one, and `TooLargeError` before a huge one is decoded."""
        limits.check(self.path.stat().st_size, self.name)
        return decode_image(read_bytes(self.path, limits.bytes), Path(self.name), most_pixels=limits.pixels)
