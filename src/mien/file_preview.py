"""What is in a weights file, as an image."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from mien.checkpoint import native
from mien.checkpoint.file_info import inspect_file
from mien.checkpoint.load import load_model
from mien.checkpoint.style_file import StyleFile
from mien.errors import CheckpointError, InputError
from mien.media.image_input import pil_from_tensor
from mien.training.samples import sample_images

_FACES, _SIDE = 4, 256


def preview(path: str | Path) -> Image.Image:
    """What a style or model file looks like: of a style its references, of a model four random faces, always the same.

    Raises `InputError` for other files, such as encoders, and `CheckpointError` for what is no weights file.

    >>> mien.preview(mien.ready_styles()["ink"]).size
    (96, 96)
    """
    path = Path(path)
    try:
        kind = native.read_document(path)["kind"]
    except CheckpointError:
        kind = inspect_file(path).kind
    if kind == "style":
        return Image.fromarray(StyleFile.read(path).thumbnail.permute(1, 2, 0).contiguous().numpy())
    if kind not in ("model", "rosinality", "nvidia"):
        raise InputError(f"{path} is a file of kind {kind}, which draws nothing: there is no preview of it.")
    faces = sample_images(load_model(path).generator, _FACES, seed=0)
    side = min(_SIDE, faces.shape[-1])
    small = torch.nn.functional.interpolate(faces, (side, side), mode="area")
    return pil_from_tensor(torch.cat(list(small), dim=2))
