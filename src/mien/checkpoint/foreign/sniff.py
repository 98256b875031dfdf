"""What a file is, by its content, never by its name; and sentences for what is no weights file at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.checkpoint import native
from mien.checkpoint.foreign.torch_file import STREAM_START, ZIP_START, read_tree
from mien.errors import CheckpointError
from mien.files import check_regular

Container = Literal["mien", "safetensors", "torch", "pickle"]

# The first bytes of what people drop here by mistake, and what to tell them.
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a git-lfs pointer, not the file itself: fetch it with `git lfs pull`"),
    (b"\x89HDF", "is an HDF5 file (Keras), which mien does not read"),
    (b"\x89PNG", "is an image, not a weights file"),
    (b"\xff\xd8\xff", "is an image, not a weights file"),
    (b"GIF8", "is an image, not a weights file"),
    (b"\x1f\x8b", "is a gzip archive: unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"BZh", "is a bzip2 archive: unpack it first"),
    (b"\x93NUMPY", "is a numpy array, not a weights file"),
)
_PAGE_STARTS = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<script")


@dataclass(frozen=True)
class Contents:
    """A file's container and, except for files of our own, everything in it."""

    path: Path
    container: Container
    tree: Any = None


def container_of(path: Path) -> Container:
    """The container of the file; raises `CheckpointError` with one sentence for anything that is no weights file."""
    size = check_regular(path, CheckpointError)
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    if not start:
        raise CheckpointError(f"{path} is empty: download or copy it again.")
    for magic, sentence in _FOREIGN:
        if start.startswith(magic):
            raise CheckpointError(f"{path} {sentence}.")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGE_STARTS) or (b"<html" in text and b"\0" not in text):
        raise CheckpointError(
            f"{path} is a web page, not a weights file: the download was answered with a page (often a quota or sign-in page), "
            f"so open the link in a browser and get the file itself."
        )
    if start[257:262] == b"ustar":
        raise CheckpointError(f"{path} is a tar archive: unpack it first.")
    if start.startswith((ZIP_START, STREAM_START)):
        return "torch"
    header = int.from_bytes(start[:8], "little")
    if len(start) > 8 and start[8:9] == b"{" and header < 2**40:
        if header + 8 > size:
            raise CheckpointError(f"{path} is a safetensors file that was cut off: download it again.")
        return "mien" if native.is_ours(path) else "safetensors"
    if start[0] == 0x80 and len(start) > 1 and 2 <= start[1] <= 5:
        return "pickle"
    raise CheckpointError(
        f"{path} is not a weights file that mien knows (it reads safetensors, PyTorch .pt files and NVIDIA .pkl files)."
    )


def open_contents(path: Path) -> Contents:
    """Read a file of any readable container; files of our own are left to `bundle`."""
    container = container_of(path)
    if container == "mien":
        return Contents(path, container)
    if container == "safetensors":
        return Contents(path, container, native.read_foreign(path))
    return Contents(path, container, read_tree(path))
