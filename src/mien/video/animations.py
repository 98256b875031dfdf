"""Animated GIF, WebP and PNG, read and written frame by frame by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from mien.errors import InputError, shown
from mien.files import check_regular
from mien.video.shot import ClipFacts, Shot, check_size

WRITTEN = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""Endings of animations that can be written."""

_MOST_PIXELS = 400_000_000
"""Of all frames of an animation that is written: they are all in memory."""
_USUAL_STEP = 100  # milliseconds of a frame that does not say how long it is shown, as browsers take it
_LEAST_STEP = 20  # what is shown for less is shown as long as the usual one, likewise
_SOLID = 128  # alpha from which a pixel of a GIF is there


class AnimationReader:
    """An animation that is open. Iterate over it for its frames, each whole."""

    def __init__(self, path: Path) -> None:
        """Open a file; raises `InputError` if it is not one, or does not move."""
        check_regular(path)
        self.path, self.broken, self.ended_early = path, 0, False
        try:
            self.image = Image.open(path)
            count = int(getattr(self.image, "n_frames", 1))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise InputError(f"{path} is not an animation that can be read ({shown(error)}): check the file.") from error
        if count < 2:
            self.image.close()
            raise InputError(f"{path} is a single image: `apply` draws those.")
        check_size(*self.image.size, path)
        first = self._step(self.image)
        has_alpha = self.image.mode in ("RGBA", "LA", "PA") or "transparency" in self.image.info
        loop = int(self.image.info.get("loop", 1 if path.suffix.lower() == ".gif" else 0))
        self.facts = ClipFacts(*self.image.size, 1 / first, Fraction(1, 1000), count, has_alpha=has_alpha, loop=loop)

    def close(self) -> None:
        """Close the file."""
        self.image.close()

    def __iter__(self) -> Iterator[Shot]:
        """The frames with their times."""
        at = Fraction(0)
        try:
            for frame in ImageSequence.Iterator(self.image):
                rgba = np.asarray(frame.convert("RGBA"))
                step = self._step(frame)
                alpha = np.ascontiguousarray(rgba[..., 3]) if self.facts.has_alpha else None
                yield Shot(np.ascontiguousarray(rgba[..., :3]), at, step, alpha)
                at += step
        except (OSError, ValueError, SyntaxError, EOFError):
            self.broken, self.ended_early = self.broken + 1, True

    def _step(self, frame: Any) -> Fraction:
        milliseconds = frame.info.get("duration", 0)
        return Fraction(round(milliseconds) if milliseconds >= _LEAST_STEP else _USUAL_STEP, 1000)


class AnimationWriter:
    """An animation in progress; it is in memory until `finish`."""

    def __init__(self, path: Path, suffix: str, facts: ClipFacts, quality: int) -> None:
        self.path, self.format, self.facts, self.quality = path, WRITTEN[suffix], facts, quality
        self.notes: list[str] = []
        self._frames: list[Image.Image] = []
        self._times: list[Fraction] = []
        self._last_step: Fraction | None = None

    def write(self, shot: Shot, drawn: NDArray[np.uint8] | None) -> None:
        """A frame: `drawn` [H, W, 3], or the shot as it is."""
        pixels = shot.pixels if drawn is None else drawn
        if (len(self._frames) + 1) * pixels.shape[0] * pixels.shape[1] > _MOST_PIXELS:
            height, width = pixels.shape[:2]
            most = _MOST_PIXELS // (height * width)
            raise InputError(f"An animation of {width} x {height} pixels has at most {most} frames: write .mp4 or .webm.")
        if shot.alpha is not None:
            alpha = np.where(shot.alpha < _SOLID, 0, 255).astype(np.uint8) if self.format == "GIF" else shot.alpha
            pixels = np.concatenate([pixels, alpha[..., None]], axis=2)
        self._frames.append(Image.fromarray(pixels))
        self._times.append(shot.at)
        self._last_step = shot.duration

    def copy(self, packet: Any) -> None:
        """Sound, for which an animation has no place."""
        if not self.notes and packet.stream.type == "audio":
            self.notes.append(f"{self.format} has no sound: it is left out.")

    def finish(self) -> None:
        """Write the file."""
        steps = [after - before for before, after in zip(self._times, self._times[1:], strict=False)]
        steps.append(self._last_step or (steps[-1] if steps else 1 / self.facts.rate))
        milliseconds = [max(10, round(step * 1000)) for step in steps]
        options: dict[str, Any] = {"duration": milliseconds, "loop": self.facts.loop or 0}
        if self.format == "WEBP":
            options |= {"quality": self.quality, "method": 4}
        if self.format == "GIF":
            options |= {"disposal": 2} if self.facts.has_alpha else {}
            if self.facts.loop == 1:
                del options["loop"]
        first, *others = self._frames
        first.save(self.path, self.format, save_all=True, append_images=others, **options)

    def abandon(self) -> None:
        """Nothing was written yet."""
        self._frames.clear()
