"""The options that say where the faces are, and numbers written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from typer import Option

from mien.cli.paths import Job
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.faces import AlignConfig


@dataclass(frozen=True)
class AlignFlags:
    """Where the faces are."""

    PANEL: ClassVar[str] = "Where the faces are"

    face: Annotated[
        str | None,
        Option(
            "--face",
            help="Which: largest, all, or a number from 1 by size. Without it all of a photo, the largest of a reference.",
            show_default=False,
        ),
    ] = None
    aligned: Annotated[bool, Option("--aligned", help="The picture already is an aligned square crop: look for no face.")] = (
        False
    )
    box: Annotated[str | None, Option("--box", help="The crop by hand, in pixels: X,Y,SIDE.", show_default=False)] = None
    landmarks: Annotated[
        str | None,
        Option(
            "--landmarks",
            help="Eyes, nose, mouth corners by hand, left first as seen: 'x,y x,y x,y x,y x,y', or a file of 5 or 68 points.",
            show_default=False,
        ),
    ] = None

    def for_photos(self, jobs: Sequence[Job], *, crop: bool) -> AlignConfig:
        """The library's configuration for the photos of `jobs`: all faces (for a `crop` the largest) unless told otherwise."""
        return self._config("largest" if crop else "all", "photo", len({job.photo for job in jobs}))

    def for_references(self, pictures: Sequence[Path]) -> AlignConfig:
        """The library's configuration for references: the largest face of each unless told otherwise."""
        return self._config("largest", "reference", len(pictures))

    def _config(self, face: str, purpose: Literal["photo", "reference"], pictures: int) -> AlignConfig:
        if pictures > 1 and (self.box or self.landmarks):
            raise InputError(
                f"A box or landmarks by hand belong to one picture, and there are {pictures}: give them one by one."
            )
        box = numbers(self.box, "--box", "X,Y,SIDE", 3)
        which = self.face or face
        if which not in ("largest", "all") and not which.isdecimal():
            raise InputError(f"--face takes largest, all or a number from 1, got '{which}'.")

        from mien.faces import AlignConfig, parse_landmarks

        points = parse_landmarks(self.landmarks).tolist() if self.landmarks else []
        return AlignConfig(
            face=int(which) if which.isdecimal() else "all" if which == "all" else "largest",
            aligned=self.aligned,
            box=(box[0], box[1], box[2]) if box else None,
            landmarks=tuple((x, y) for x, y in points) or None,
            purpose=purpose,
        )


@dataclass(frozen=True)
class StyleAlignFlags(AlignFlags):
    """Where the face of the reference is: the same, for the pictures behind --style."""

    PANEL: ClassVar[str] = "Where the reference's face is"

    face: Annotated[str | None, Option("--style-face", help="As --face, for the references.", show_default=False)] = None
    aligned: Annotated[bool, Option("--style-aligned", help="As --aligned, for the references.")] = False
    box: Annotated[str | None, Option("--style-box", help="As --box, for the reference.", show_default=False)] = None
    landmarks: Annotated[
        str | None, Option("--style-landmarks", help="As --landmarks, for the reference.", show_default=False)
    ] = None


@contextmanager
def speaking_of_the_reference() -> Iterator[None]:
    """In `stylize` the options for the reference have names of their own: say those in the errors that suggest them."""
    try:
        yield
    except InputError as error:
        raise type(error)(re.sub(r"--(face|aligned|box|landmarks)\b", r"--style-\1", str(error))) from error


def numbers(text: str | None, flag: str, form: str, count: int) -> list[float]:
    """The numbers in a flag's value, separated by commas or spaces; empty for None."""
    if text is None:
        return []
    try:
        found = [float(part) for part in re.split(r"[,;\s]+", text.strip())]
    except ValueError:
        found = []
    if len(found) != count or any(abs(n) == float("inf") or n != n for n in found):
        raise InputError(f"{flag} takes {form}, got '{text}'.")
    return found


def whole_numbers(text: str | None, flag: str) -> list[int]:
    """The whole numbers from 0 in a flag's value, separated by commas or spaces; empty for None."""
    parts = re.split(r"[,;\s]+", text.strip()) if text is not None else []
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{flag} takes whole numbers such as 3,8,11, got '{text}'.")
    return [int(part) for part in parts]
