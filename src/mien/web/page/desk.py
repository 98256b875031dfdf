"""The page's actions: receiving uploads, choosing styles, drawing photos, learning styles, and showing all of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from mien.errors import InputError, MienError
from mien.faces.results import Result
from mien.media.image_data import ImageData
from mien.media.image_input import to_pil
from mien.media.images import encode_image
from mien.oneshot.config import OneShotConfig
from mien.render_config import RenderConfig
from mien.styles import Style, list_styles
from mien.video.config import Codec
from mien.video.whole_clip import VideoResult
from mien.web.page.pieces import Card, Row, compare, downloads, notes, problem, so_far, welcome, working
from mien.web.shelf import CARD, SUFFIX, ShelfStyle
from mien.web.studio import Studio
from mien.web.uploads import Upload
from mien.web.visitors import READY, Visitor
from mien.web.waiting_line import AbandonedError, Job

PLAIN_CARD = "photo"
"""Name of the card that shows the synthetic face as the model draws it."""

_FIRST = "toon"  # the style that is chosen on a fresh page
MOVING = (".gif", ".webp")
"""Endings of images that move."""

CONTAINERS: dict[Codec, str] = {
    "auto": ".mp4", "h264": ".mp4", "h265": ".mp4", "vp9": ".webm", "prores": ".mov", "ffv1": ".mkv",
}  # fmt: skip
"""The file that a video of each codec is put into."""
_PREVIEW, _PREVIEW_QUALITY = 1400, 90  # side in pixels
_SETTLED = 0.25  # seconds without another change before a photo is drawn: sliders send many
_SERVED = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".mp4", ".webm", ".mov", ".mkv")
_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}


@dataclass(frozen=True)
class View:
    """What the page shows while drawing; None leaves a part unchanged."""

    result: str | None = None
    message: str | None = None


class Desk:
    """The page's work for its visitors."""

    def __init__(self, studio: Studio, upload_folder: Path) -> None:
        """`upload_folder` is where what browsers send arrives."""
        self.studio, self.upload_folder = studio, upload_folder.resolve()

    # -- what comes in -----------------------------------------------------------------------------------------------------

    def take(self, visitor: Visitor, name: str, size: int, path: str) -> Upload:
        """Bring an upload into the visitor's folder. Raises `TooLargeError` and `InputError`."""
        self.studio.limits.check(size, name)
        sent = Path(path).resolve() if path else Path()
        if not path or not sent.is_relative_to(self.upload_folder) or not sent.is_file():
            raise InputError(f"{name} did not arrive: send it again.")
        visitor.sent.add(sent)
        self.studio.limits.check(sent.stat().st_size, name)
        return Upload.keep(sent.read_bytes(), name, visitor.folder)

    def preview(self, visitor: Visitor, upload: Upload) -> str:
        """The address of a small upright copy of an image; raises `InputError` if it is not one."""
        return self._small(visitor, upload.image(self.studio.limits), upload.path.stem)

    def _small(self, visitor: Visitor, data: ImageData, stem: str) -> str:
        image = to_pil(data).convert("RGB")
        image.thumbnail((_PREVIEW, _PREVIEW), Image.Resampling.LANCZOS)
        path = visitor.folder / f"{stem}-small.jpg"
        image.save(path, quality=_PREVIEW_QUALITY, icc_profile=data.icc if data.colors == 3 else None)
        return address(visitor, path)

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def welcome(self) -> str:
        """What is seen before there is a result."""
        return welcome(f"cards/{PLAIN_CARD}{CARD}", f"cards/{list_styles()[1]}{CARD}")

    def draw(self, visitor: Visitor, config: RenderConfig) -> Iterator[View]:
        """Draw the visitor's photo in the chosen style; newer work of the same page replaces what is running."""
        photo, chosen = visitor.photo, visitor.style
        if photo is None or not chosen:
            return
        if visitor.drawing is not None:
            visitor.drawing.stop()
        style = visitor.chosen()
        job = visitor.drawing = self.studio.draw(style, photo, config)
        try:
            for status in job.follow():
                yield View(message=working("Drawing", status))
            result = job.result()
        except AbandonedError:
            return
        except MienError as error:
            yield View(message=problem(str(error)))
            return
        visitor.drawn = chosen
        yield View(self._shown(visitor, result, style), notes(result.notes))

    def redraw(self, visitor: Visitor, config: RenderConfig) -> Iterator[View]:
        """The same after a control was moved, once it rests."""
        if visitor.drawing is not None:
            visitor.drawing.stop()
        stamp = visitor.moved = visitor.moved + 1
        time.sleep(_SETTLED)
        if visitor.moved == stamp:
            yield from self.draw(visitor, config)

    def _shown(self, visitor: Visitor, result: Result, style: str | Path) -> str:
        """Before and after, and the files to take away."""
        photo = visitor.photo
        assert photo is not None
        name = style.stem if isinstance(style, Path) else style
        stamp = f"{photo.path.stem}-{time.monotonic_ns()}"
        for old in visitor.folder.glob(f"{photo.path.stem}-*[0-9]*"):
            old.unlink(missing_ok=True)
        before = address(visitor, visitor.folder / f"{photo.path.stem}-small.jpg")
        size = (result.image_data.width, result.image_data.height)
        shown = compare(before, self._small(visitor, result.image_data, stamp), size, name)
        suffix = Path(photo.name).suffix.lower() if Path(photo.name).suffix.lower() in _KINDS else ".png"
        path = visitor.folder / f"{stamp}{suffix}"
        path.write_bytes(encode_image(result.image_data, _KINDS.get(suffix, "PNG")))
        links = [(address(visitor, path), f"{Path(photo.name).stem}-{name}{suffix}", "Download image")]
        links.append((f"styles/{quote(name)}{SUFFIX}" if isinstance(style, str) else address(visitor, style),
                      f"{name}{SUFFIX}", "Download style"))  # fmt: skip
        return shown + downloads(links)

    # -- videos ------------------------------------------------------------------------------------------------------------

    def stylize_video(self, visitor: Visitor, codec: Codec = "auto") -> Job[VideoResult]:
        """Draw the visitor's video in the chosen style; animations keep their format, videos get `codec`."""
        if visitor.clip is None:
            raise InputError("There is no video yet: drop one first.")
        if visitor.filming is not None:
            visitor.filming.stop()
        kind = visitor.clip.path.suffix
        moving = kind in MOVING
        target = visitor.folder / f"film-{time.monotonic_ns()}{kind if moving else CONTAINERS[codec]}"
        visitor.filming = self.studio.stylize_video(visitor.chosen(), visitor.clip, target, "auto" if moving else codec)
        return visitor.filming

    # -- styles ------------------------------------------------------------------------------------------------------------

    def cards(self, visitor: Visitor) -> list[Card]:
        """The ready styles and the visitor's own."""
        names = sorted(list_styles(), key=lambda name: name != _FIRST)
        ready = [Card(f"{READY}{name}", name.capitalize(), f"cards/{name}{CARD}") for name in names]
        own = [Card(style.id, style.name, address(visitor, style.card)) for style in visitor.shelf.styles()]
        return [*ready, *own]

    def rows(self, visitor: Visitor) -> list[Row]:
        """The visitor's own styles."""
        return [
            Row(style.id, style.name, address(visitor, style.card), address(visitor, style.path), style.kept)
            for style in visitor.shelf.styles()
        ]

    def learn(self, visitor: Visitor, config: OneShotConfig) -> Iterator[str | ShelfStyle]:
        """Learn a style from the visitor's reference: messages, and in the end the style on the shelf."""
        if visitor.reference is None:
            raise InputError("A style is learned from an image: drop one first.")
        if visitor.learning is not None:
            visitor.learning.stop()
        reference = visitor.reference
        previews = visitor.folder / f"learning-{time.monotonic_ns()}"
        previews.mkdir()
        job = visitor.learning = self.studio.learn([reference], config, Path(reference.name).stem, previews)
        for status in job.follow():
            yield working("Learning the style", status) + self._so_far(visitor, previews)
        shutil.rmtree(previews, ignore_errors=True)
        yield self.put(visitor, job.result())

    def _so_far(self, visitor: Visitor, previews: Path) -> str:
        """The newest image of a style that is being learned."""
        newest = max(previews.glob("step-*.png"), default=None)
        if newest is None:
            return ""
        shown = visitor.folder / f"{previews.name}-{newest.name}"
        if not shown.exists():
            for old in visitor.folder.glob(f"{previews.name}-*"):
                old.unlink(missing_ok=True)
            shutil.copy(newest, shown)
        return so_far(address(visitor, shown))

    def put(self, visitor: Visitor, style: Style) -> ShelfStyle:
        """Put a style on the visitor's shelf, with its image. Raises `ModelMismatchError` for one of another model."""
        return visitor.shelf.add(style, self.studio.card(style))

    def add_file(self, visitor: Visitor, upload: Upload) -> ShelfStyle:
        """Put a style file on the visitor's shelf. Raises `CheckpointError` for anything else."""
        return self.put(visitor, Style.read(upload.path))


def address(visitor: Visitor, path: Path) -> str:
    """Where a file of a visitor is served."""
    place = {visitor.shelf.folder: "styles", visitor.shelf.kept: "kept"}.get(path.parent, "files")
    return f"visits/{visitor.token}/{place}/{quote(path.name)}"


def file_at(visitor: Visitor, place: str, name: str) -> Path | None:
    """The file of a visitor at such an address; None where there is none."""
    folders = {"files": visitor.folder, "styles": visitor.shelf.folder, "kept": visitor.shelf.kept}
    if place not in folders or Path(name).name != name:
        return None
    path = folders[place] / name
    return path if path.is_file() and path.suffix in (*_SERVED, SUFFIX) else None
