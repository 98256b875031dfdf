"""The images of a folder by their names. Nothing is opened, and nothing here waits for torch."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from mien.errors import InputError, MienWarning

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm",
)  # fmt: skip
"""Names that a folder is searched for."""

VIDEOS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv",
)  # fmt: skip
"""Names that video files usually have."""

_OTHER_IMAGES = (
    ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".raw", ".psd", ".xcf", ".svg", ".eps", ".pdf", ".jxl",
    ".exr", ".hdr", ".tga", ".ico", *VIDEOS,
)  # fmt: skip
_HEADS = (
    b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
)  # fmt: skip


def list_images(folder: Path | str, *, recursive: bool = False) -> list[Path]:
    """The images of a folder (by suffix, not hidden), in the order of their names without case; `recursive`: deeper too.

    What is passed over is warned of: images in deeper folders, and files of formats that are not read. A link that leads
    nowhere is listed, so that it fails by its name. Raises `InputError` where there is no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: check the name.")
    entries = list(_files(folder, recursive=recursive))
    found = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    deeper = "" if recursive else _deeper(folder)
    if not found:
        where = f"; there are some in sub-folders ({deeper}), which `recursive` takes" if deeper else ""
        raise InputError(f"{folder} has no images in it (looked for {' '.join(SUFFIXES[:5])} ...){where}: give another folder.")
    if deeper:
        text = f"{folder} has sub-folders with images ({deeper}), which are left out: set `recursive` to take them too."
        warnings.warn(text, MienWarning, stacklevel=2)
    warn_of_other_formats([entry.name for entry in entries], folder)
    return sorted(found, key=lambda entry: (str(entry.relative_to(folder)).casefold(), str(entry)))


def warn_of_other_formats(names: Sequence[str], source: Path) -> None:
    """Warn of files in a folder or zip that are images or films of formats that are not read."""
    passed = Counter(suffix for name in names if (suffix := PurePath(name).suffix.lower()) in _OTHER_IMAGES)
    if passed:
        formats = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed.items()))
        warnings.warn(f"{source}: files of formats that are not read are left out ({formats}).", MienWarning, stacklevel=4)


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """Files and dangling links that are not hidden."""
    if not recursive:
        yield from (path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
        return
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in names if not name.startswith("."))


def _deeper(folder: Path) -> str:
    """The name of the first sub-folder that has images, at most two levels down."""
    for level in ("*/*", "*/*/*"):
        for path in folder.glob(level):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
                return path.relative_to(folder).parts[0] + os.sep
    return ""


def looks_like_a_image(path: Path) -> bool:
    """Whether a file begins as image files do."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] in (
        b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1",
    )  # fmt: skip


def refuse_image_as_style(path: Path) -> None:
    """Raise `InputError` for an image where a learned style is needed: the commonest mix-up."""
    if path.is_file() and looks_like_a_image(path):
        raise InputError(
            f"{path} is an image, and a learned style is needed here: learn one from it with `mien fit`, or give it to "
            "`mien stylize` as the style of a photo, which does both."
        )
