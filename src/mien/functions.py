"""The pieces of the main job as single functions, for those who need one of them and no `Stylizer`."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from mien.faces import AlignConfig, CropFrame, extract, locate
from mien.media.images import Picture, read_picture
from mien.models.bundle import Model
from mien.stylizer import Inversion, Stylizer, embedded_model


def align_faces(
    photo: Picture | str | Path, align: AlignConfig | None = None, *, size: int = 256
) -> list[tuple[CropFrame, Tensor]]:
    """The faces of a photo: where each sits, and its FFHQ crop [3, size, size] in [-1, 1]; the largest first.

    `align` says which faces, or where they are; None takes all. Raises `FaceNotFoundError` where there is none.
    """
    picture = photo if isinstance(photo, Picture) else read_picture(photo)
    rgb = picture.rgb()
    return [(frame, extract(rgb, frame, size)[0]) for frame in locate(rgb, align or AlignConfig())]


def invert(
    photo: Picture | str | Path, *, model: Model | None = None, align: AlignConfig | None = None, refine_steps: int = 0
) -> Inversion:
    """The code of one face (the largest, unless `align` says otherwise), and what the model renders for it.

    `model` is any loaded one; None takes the embedded model. `refine_steps` improves the encoder's answer by optimisation.
    """
    return Stylizer(model or embedded_model()).invert(photo, align=align, refine_steps=refine_steps)
