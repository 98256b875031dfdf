"""What all visitors share: one face model, the queues for it, and the faces found in recent photos."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from PIL import Image

from mien.errors import InputError
from mien.faces.config import AlignConfig
from mien.faces.results import AlignedPhoto, Result
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.styles import Style
from mien.video.config import Codec, VideoConfig
from mien.video.whole_clip import VideoResult, stylize_video
from mien.web.config import ServeConfig
from mien.web.uploads import Limits, Upload
from mien.web.waiting_line import Job, WaitingLine

T = TypeVar("T")
_PHOTOS, _STYLES = 4, 4  # that are held ready
_CARD_FACE = 13
_PREVIEW_EVERY = 20  # steps of learning
DRAWING = (
    "strength", "fidelity", "hair", "photo_color", "surroundings", "upscale", "keep", "exaggerate", "refine_steps", "crop",
    "inverter", "strip_metadata",
)  # fmt: skip
"""What a visitor may set of `RenderConfig`."""
LEARNING = ("steps", "learning_rate", "color", "gaze", "extreme", "identity_weight", "reference_shape", "random_layers", "seed")
"""The settings of `OneShotConfig` that visitors may change: the others could block the server."""
_MOST_STEPS, _MOST_REFINEMENT, _MOST_UPSCALE = 500, 200, 4.0


def check_modest(drawing: RenderConfig | None = None, learning: OneShotConfig | None = None) -> None:
    """Raise `InputError` for settings that would block the server, or take all of its memory."""
    if drawing is not None:
        if not isinstance(drawing.inverter, str) or drawing.inverter not in ("encoder", "iterated", "mean"):
            raise InputError("`inverter` is encoder, iterated or mean on a server: the others take minutes.")
        if drawing.refine_steps > _MOST_REFINEMENT:
            raise InputError(f"`refine_steps` is at most {_MOST_REFINEMENT} on a server, got {drawing.refine_steps}.")
        if isinstance(drawing.upscale, (int, float)) and drawing.upscale > _MOST_UPSCALE:
            raise InputError(f"`upscale` is at most {_MOST_UPSCALE:g} on a server, got {drawing.upscale:g}.")
    if learning is not None and learning.steps != "auto" and learning.steps > _MOST_STEPS:
        raise InputError(f"`steps` is at most {_MOST_STEPS} on a server, got {learning.steps}.")


class Latest(Generic[T]):
    """The most recent values, by name, each computed once."""

    def __init__(self, most: int) -> None:
        self._most, self._values, self._lock = most, OrderedDict[str, T](), threading.Lock()

    def get(self, name: str, find: Callable[[], T]) -> T:
        """The value of that name, from `find` where it is not there."""
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
                return self._values[name]
        found = find()
        with self._lock:
            self._values[name] = found
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return found


class Studio:
    """A face model that several people use at a time."""

    def __init__(
        self, stylizer: Stylizer, config: ServeConfig, *, learning: OneShotConfig | None = None,
        drawing: RenderConfig | None = None,
    ) -> None:  # fmt: skip
        """`learning` and `drawing` are how styles are learned and photos drawn where a visitor does not say."""
        self.stylizer, self.limits = stylizer, Limits.of(config)
        self.usual_learning, self.usual_drawing = learning or OneShotConfig(), drawing or RenderConfig()
        self.learners = WaitingLine(config.learners, config.waiting)
        self.painters = WaitingLine(config.painters, config.waiting)
        self.frames = WaitingLine(1, config.waiting)
        self.videos = WaitingLine(1, config.waiting)
        self._photos: Latest[AlignedPhoto] = Latest(_PHOTOS)
        self._styles: Latest[Style] = Latest(_STYLES)

    def draw(self, style: str | Path, photo: Upload, config: RenderConfig) -> Job[Result]:
        """Queue a photo to be drawn in a style, a ready one by name or a file."""
        check_modest(config)

        def work(progress: Progress) -> Result:
            look = self.style(style)
            found = self._photos.get(f"{photo.path} {photo.name}", lambda: self._search(photo))
            if config.crop:
                found = AlignedPhoto(found.image_data, found.faces[:1])
            progress(0, config.refine_steps, 0.0)
            return self.stylizer.apply(look, found, config, progress=progress)

        return self.painters.join(work)

    def _search(self, photo: Upload) -> AlignedPhoto:
        return self.stylizer.align(photo.image(self.limits), AlignConfig())

    def style(self, style: str | Path) -> Style:
        """A ready style by name, or the one in a file; recent ones stay loaded."""
        stamp = style.stat().st_mtime_ns if isinstance(style, Path) and style.exists() else 0
        return self._styles.get(f"{style} {stamp}", lambda: self.stylizer.style(style))

    def learn(
        self, references: list[Upload], config: OneShotConfig | None = None, name: str | None = None,
        previews: Path | None = None,
    ) -> Job[Style]:  # fmt: skip
        """Have a style learned; every 20 steps an image of it so far is written into the folder `previews`."""
        check_modest(learning=config)

        def work(progress: Progress) -> Style:
            images = [upload.image(self.limits) for upload in references]
            shown = None if previews is None else SnapshotConfig(previews=previews, preview_every=_PREVIEW_EVERY)
            return self.stylizer.fit(images, config or self.usual_learning, name=name, snapshots=shown, progress=progress)

        return self.learners.join(work)

    def stylize_video(self, style: str | Path, clip: Upload, target: Path, codec: Codec = "auto") -> Job[VideoResult]:
        """Have a video drawn in a style and written as `target`."""
        self.limits.check(clip.path.stat().st_size, clip.name)
        return self.videos.join(
            lambda progress: stylize_video(
                clip.path,
                self.style(style),
                target,
                config=VideoConfig(codec=codec),
                render=self.usual_drawing,
                model=self.stylizer,
                progress=progress,
            )
        )

    def card(self, style: str | Path | Style | None) -> Image.Image:
        """The same synthetic face for every style, drawn in it; None: as the model draws it."""
        look = self.style(style) if isinstance(style, (str, Path)) else style
        return self.stylizer.sample(1, seed=_CARD_FACE, style=look)[0]

    def close(self) -> None:
        """Stop all work."""
        for line in (self.learners, self.painters, self.frames, self.videos):
            line.close()
