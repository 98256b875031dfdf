"""Faces of photos, and the same faces in images that any method made of the photos: files matched by their stems."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mien.errors import FaceNotFoundError, InputError
from mien.evaluation.config import Shows
from mien.faces import AlignConfig, CropFrame, extract, whole_frame
from mien.faces.locate import locate
from mien.media.images import list_images, read_image

SIDE = 256
"""Side in pixels of the crops that are compared."""

_LIKE = 0.02  # proportions that differ by less are the same


@dataclass(frozen=True)
class PhotoFace:
    """The largest face of a photo."""

    path: Path
    width: int
    height: int
    frame: CropFrame
    """Where it sits in the photo."""
    crops: Mapping[int, Tensor]
    """{size: the aligned face [3, size, size] in [-1, 1]}."""
    seconds: float
    """That reading the photo and finding the face took."""


def read_face(path: Path, sizes: Sequence[int] = (SIDE,), *, aligned: bool = False, flag: str = "aligned") -> PhotoFace:
    """The largest face of a photo; `aligned` says that the photo is a face crop already (`flag` is the setting that says so).

    Raises `FaceNotFoundError` where there is none.
    """
    start = time.perf_counter()
    rgb = read_image(path).rgb()
    try:
        frame = locate(rgb, AlignConfig(face="largest", aligned=aligned))[0]
    except FaceNotFoundError as error:
        raise FaceNotFoundError(f"No face was found in {path}: set `{flag}` if it is a face crop already.") from error
    crops = {size: extract(rgb, frame, size)[0] for size in sizes}
    return PhotoFace(path, rgb.shape[2], rgb.shape[1], frame, crops, time.perf_counter() - start)


def read_faces(
    photos: Sequence[Path], sizes: Sequence[int] = (SIDE,), *, aligned: bool = False, tick: Callable[[], None] = lambda: None
) -> tuple[list[PhotoFace], dict[str, str]]:
    """The faces of photos, and of those that cannot be used why not; raises `InputError` when none is left or two share a stem.

    `tick` is called after every photo.
    """
    twice = _twice(photos)
    if twice:
        raise InputError(f"Two photos are called '{twice}', and outputs are matched by that name: rename one of them.")
    faces, failed = [], {}
    for path in photos:
        try:
            faces.append(read_face(path, sizes, aligned=aligned))
        except InputError as error:
            failed[str(path)] = str(error)
        tick()
    if not faces:
        raise InputError(f"None of the {len(photos)} photos can be used (first: {next(iter(failed.values()), 'no photo')})")
    return faces, failed


@dataclass
class Outputs:
    """What a method made of the photos."""

    images: dict[int, Tensor] = field(default_factory=dict)
    """{index of the photo: its face [3, SIDE, SIDE] in [-1, 1]}."""
    missing: list[str] = field(default_factory=list)
    """Stems of the photos that it has no image of."""
    extra: list[str] = field(default_factory=list)
    """Names of its images that belong to no photo."""
    unusable: dict[str, str] = field(default_factory=dict)
    """Names of its images that cannot be used, and why."""

    def notes(self, name: str) -> list[str]:
        """One sentence for everything that does not match."""
        lines = []
        if self.missing:
            lines.append(f"{name} has no image of {_listed(self.missing)}: its figures are of the other photos alone.")
        if self.extra:
            lines.append(f"{name} has images of no photo, which do not count: {_listed(self.extra)}.")
        return lines + [f"{name}: {why}" for why in self.unusable.values()]


def read_outputs(name: str, folder: Path, faces: Sequence[PhotoFace], shows: Shows = "auto") -> Outputs:
    """The face of every photo in the images of `folder`, matched by stem.

    `shows` says whether they are whole photos (of any size: the face is where it is in the photo) or aligned face crops; "auto"
    tells by the proportions of each. Raises `InputError` where nothing matches, or where a square photo leaves "auto" in doubt.
    """
    files = list_images(folder)
    twice = _twice(files)
    if twice:
        raise InputError(f"{folder} has two images called '{twice}': leave one for every photo.")
    by_stem, found = {file.stem: file for file in files}, Outputs()
    for index, face in enumerate(faces):
        file = by_stem.pop(face.path.stem, None)
        if file is None:
            found.missing.append(face.path.stem)
            continue
        try:
            rgb = read_image(file).rgb()
        except InputError as error:
            found.unusable[file.name] = str(error)
            continue
        frame = _frame(name, rgb, face, shows)
        if frame is None:
            found.unusable[file.name] = (
                f"{file} has neither the proportions of its photo nor those of a square: it is left out."
            )
        else:
            found.images[index] = extract(rgb, frame, SIDE)[0]
    found.extra = [file.name for file in by_stem.values()]
    if not found.images:
        why = next(iter(found.unusable.values()), f"they are called {_listed(found.extra)}")
        raise InputError(f"No image of {folder} belongs to one of the photos ({why}): give each the name of its photo.")
    return found


def _frame(name: str, rgb: Tensor, face: PhotoFace, shows: Shows) -> CropFrame | None:
    """Where the face is in a method's image [3, H, W] of a photo; None when its proportions fit neither photo nor crop."""
    height, width = rgb.shape[1:]
    like_photo = abs(width * face.height / (height * face.width) - 1) < _LIKE
    square = abs(width / height - 1) < _LIKE
    if shows == "auto" and like_photo and square and face.frame.side < 0.9 * face.width:
        raise InputError(
            f"{face.path.name} is square, so it cannot be told whether the images of {name} are whole photos or face crops: "
            "set `outputs_are` to photos, or to crops."
        )
    if like_photo and shows != "crops":
        scale = width / face.width
        x, y = face.frame.center
        return CropFrame((x * scale, y * scale), face.frame.side * scale, face.frame.angle)
    return whole_frame(width, height) if square and shows != "photos" else None


def read_references(paths: Sequence[Path], *, aligned: bool = False) -> Tensor:
    """The aligned faces [N, 3, SIDE, SIDE] of reference images; `aligned`: they are face crops already."""
    return torch.stack([read_face(path, aligned=aligned, flag="references_aligned").crops[SIDE] for path in paths])


def _twice(paths: Sequence[Path]) -> str | None:
    return next((stem for stem, count in Counter(path.stem for path in paths).items() if count > 1), None)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
