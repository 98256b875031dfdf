"""Which files go in and which come out: all of it is decided, and every problem reported, before any work starts."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.batch import plan as batch_plan
from mien.batch.config import FilesConfig
from mien.batch.plan import WRITABLE, Job, divided, jobs_in_folder, writable_folder
from mien.cli.result import begin
from mien.cli.streams import STDOUT, write_bytes
from mien.errors import InputError
from mien.media.listing import VIDEOS
from mien.media.storage import is_address, is_folder, is_there, photos_of, place, write_photo
from mien.shipped import refuse_address, shipped

if TYPE_CHECKING:
    from mien.faces.config import AlignConfig
    from mien.media.image_data import ImageData


def named_photos(inputs: Sequence[Path], *, recursive: bool = False) -> dict[Path, str]:
    """{image: its name in the folder that was named}, of files, folders (sorted, `recursive`: also deeper) and addresses.

    - is stdin.
    """
    found: dict[Path, str] = {}
    for path in map(place, inputs):
        if str(path) == STDOUT:
            path = _from_stdin()
        elif is_folder(path):
            for photo, name in photos_of(path, recursive=recursive).items():
                found.setdefault(photo, name)
            continue
        elif not is_address(path):
            path = _no_video(resolve_file(path))
        found.setdefault(path, path.name)
    return found


def photos_in(inputs: Sequence[Path], *, recursive: bool = False) -> list[Path]:
    """The images named, and those in the folders named, each once; - is stdin."""
    return list(named_photos(inputs, recursive=recursive))


def _no_video(path: Path) -> Path:
    if path.suffix.lower() in VIDEOS:
        raise InputError(f"{path} is a video: `mien video` redraws the faces of those.")
    return path


def resolve_file(path: Path) -> Path:
    """The path, if there is a file; for the name of what ships with mien or of a published model, where that one is kept."""
    if found := shipped(path):
        return found
    if not path.exists():
        refuse_address(path)
        if path.name == str(path) and not path.suffix:  # names of models are such: others are told without waiting for torch
            from mien.checkpoint.hub.published import located

            path = located(path)
    if not path.exists():
        raise InputError(f"There is no file {path}: check its name.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a file is needed here.")
    return path


def _from_stdin() -> Path:
    """What stdin gives, as a file that goes with the process."""
    from mien.media.images import MAX_BYTES

    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("- is an image from stdin, which is a terminal here: send a file, as in `cat me.jpg | mien ...`.")
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InputError(f"stdin gives more than the {MAX_BYTES >> 20} MiB that are read: give a smaller image.")
    folder = Path(tempfile.mkdtemp(prefix="mien-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "stdin").write_bytes(content)
    return folder / "stdin"


def plan(
    inputs: Sequence[Path], styles: Sequence[str], out: Path, files: FilesConfig, align: AlignConfig | None = None
) -> tuple[list[Job], list[Job]]:  # fmt: skip
    """What to make of `inputs` (files and folders) in each of `styles` (names), and where; and what of it is there already.

    One photo and one style: `out` is the file, or a folder to put `<stem>.png` into. Otherwise `out` is a folder, with names as
    `jobs_in_folder` gives them. - is stdout, for one image. With `files.skip_existing`, what is there is not made again.
    A face that `align` gives by hand belongs to one photo alone.
    """
    photos = named_photos(inputs, recursive=files.recursive)
    one_by_hand(align, photos)
    single, out = len(photos) == 1 and len(styles) == 1 and not any(is_folder(place(p)) for p in inputs), place(out)
    if str(out) == STDOUT:
        if not single:
            raise InputError(f"-o - writes one image to stdout, and {len(photos) * len(styles)} come out: give a folder.")
        if sys.stdout.isatty():
            raise InputError("-o - writes the image to stdout, which is a terminal here: send it elsewhere.")
        return [Job(next(iter(photos)), 0, out)], []
    if single and not is_folder(out) and out.suffix:
        jobs = [Job(next(iter(photos)), 0, image_name(out))]
    else:
        if is_there(out) and not is_folder(out):
            raise InputError(f"{out} is a file, and {len(photos) * len(styles)} images need a folder: give another -o.")
        if out.suffix.lower() in WRITABLE and not is_folder(out):
            raise InputError(f"-o {out} looks like one file, but {len(photos) * len(styles)} images come out: give a folder.")
        jobs = jobs_in_folder(photos, styles, out)
    jobs, there = divided(jobs, photos, files)
    check_outputs([job.out for job in jobs], photos, overwrite=files.overwrite)
    return jobs, there


def one_by_hand(align: AlignConfig | None, images: Collection[Path]) -> None:
    """Refuse a box or landmarks for several images."""
    if align is not None and len(set(images)) > 1 and (align.box or align.landmarks):
        error = InputError(f"A `box` or `landmarks` belong to one image, and there are {len(set(images))}: give one.")
        error.about = align
        raise error


def write_out(out: Path, image: ImageData, *, overwrite: bool) -> None:
    """Write an image to its file, or as PNG to stdout. What another process has written meanwhile is not replaced unasked."""
    from mien.media.images import encode_image

    begin(out)
    if str(out) == STDOUT:
        write_bytes(encode_image(image, "PNG"))
    else:
        write_photo(out, image, overwrite=overwrite)


def make_folder(out: Path, why: str) -> None:
    """Make the folder that several images go into; raises `InputError`, which says `why` it is one, for a file's name."""
    if str(out) == STDOUT or out.suffix.lower() in WRITABLE or out.is_file():
        raise InputError(f"-o {out} is one file, and {why}: give a folder.")
    writable_folder(out)


def image_name(out: Path) -> Path:
    """The path, if its ending is one that images are written in."""
    if out.suffix.lower() not in WRITABLE:
        raise InputError(f"{out} must end in one of {', '.join(WRITABLE)}: that says in which format the image is written.")
    return out


def check_outputs(outs: Sequence[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """As `mien.batch.plan.check_outputs`; stdout is always free."""
    batch_plan.check_outputs([out for out in outs if str(out) != STDOUT], inputs, overwrite=overwrite)
