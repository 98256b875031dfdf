"""Well-known face models of others: which file, from whom, under which license. None is ours to give or in the package.

Sizes and checksums stand here only where several public copies agree on them; None says that we know none.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import InputError

_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="


@dataclass(frozen=True)
class PublishedFile:
    """One file that somebody else published."""

    name: str
    """What `mien models get`, --model and --encoder call it."""
    file: str
    """Its own name."""
    role: Literal["model", "encoder"]
    what: str
    resolution: int
    author: str
    page: str
    """Where its authors offer it, for people."""
    url: str
    """Where the file itself is."""
    license: str
    bytes: int | None = None
    sha256: str | None = None


PUBLISHED: tuple[PublishedFile, ...] = (
    PublishedFile(
        name="ffhq-nvidia",
        file="ffhq.pkl",
        role="model",
        what="generator and discriminator of FFHQ faces",
        resolution=1024,
        author="NVIDIA, StyleGAN2-ADA",
        page="https://github.com/NVlabs/stylegan2-ada-pytorch",
        url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/ffhq.pkl",
        license="NVIDIA Source Code License: non-commercial",
        bytes=381_624_121,
        sha256="a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
    ),
    PublishedFile(
        name="ffhq-jojogan",
        file="stylegan2-ffhq-config-f.pt",
        role="model",
        what="NVIDIA's FFHQ networks converted to .pt, as JoJoGAN uses them",
        resolution=1024,
        author="JoJoGAN (converted with rosinality's code)",
        page="https://github.com/mchong6/JoJoGAN",
        url=f"{_DRIVE}1Yr7KuD959btpmcKGAUsbAk5rPjX2MytK",
        license="NVIDIA Source Code License: non-commercial",
    ),
    PublishedFile(
        name="ffhq-256-rosinality",
        file="550000.pt",
        role="model",
        what="generator and discriminator of FFHQ faces, 550 thousand steps",
        resolution=256,
        author="rosinality, stylegan2-pytorch",
        page="https://github.com/rosinality/stylegan2-pytorch",
        url=f"{_DRIVE}1PQutd-JboOCOZqmd95XWxWrO8gGEvRcO",
        license="none stated; trained on FFHQ (CC BY-NC-SA 4.0)",
    ),
    PublishedFile(
        name="e4e-ffhq",
        file="e4e_ffhq_encode.pt",
        role="encoder",
        what="encoder for the FFHQ models of 1024 px",
        resolution=1024,
        author="Tov et al., encoder4editing",
        page="https://github.com/omertov/encoder4editing",
        url=f"{_DRIVE}1cUv_reLE6k3604or78EranS7XzuVMWeO",
        license="code MIT; trained on FFHQ (CC BY-NC-SA 4.0) with NVIDIA's model",
        bytes=1_201_649_680,
        sha256="2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
    ),
)


def published(name: str) -> PublishedFile:
    """The entry of that name; raises `InputError` with the names that there are."""
    for entry in PUBLISHED:
        if entry.name == name:
            return entry
    raise InputError(f"There is no model '{name}' to get: choose one of {', '.join(entry.name for entry in PUBLISHED)}.")


def models_folder() -> Path:
    """Where the files of others are kept: `MIEN_MODELS`, or the usual folder for data of the user."""
    if named := os.environ.get("MIEN_MODELS"):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "mien" / "models"


def place_of(entry: PublishedFile) -> Path:
    """Where the file is kept once it was got."""
    return models_folder() / entry.file


def located(path: Path) -> Path:
    """The path; where there is no such file and it is the name of a published one, that file's place.

    Raises `InputError` when that one was not got yet: nothing is downloaded unasked.
    """
    if path.is_file() or str(path) not in {entry.name for entry in PUBLISHED}:
        return path
    place = place_of(published(str(path)))
    if not place.exists():
        raise InputError(f"{path} is not on this computer yet: get it with `mien models get {path}`.")
    return place
