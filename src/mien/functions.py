"""The pieces of the main job as single functions, for those who need one of them and no `Stylizer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mien.editing import random_codes
from mien.faces import AlignConfig, CropFrame, extract, locate
from mien.finetune.mask_sheet import mask_sheet, usual_masks
from mien.finetune.masks import parse_mask
from mien.inversion import InvertConfig
from mien.latents import RandomLayers
from mien.media.images import Picture, read_picture
from mien.models.bundle import Model
from mien.results import Inversion
from mien.runtime import Progress
from mien.stylizer import Stylizer, embedded_model


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
    photo: Picture | str | Path, *, model: Model | None = None, align: AlignConfig | None = None,
    inverter: InvertConfig | None = None, refine_steps: int = 0,
) -> Inversion:  # fmt: skip
    """The code of one face (the largest, unless `align` says otherwise), and what the model renders for it.

    `model` is any loaded one; None takes the embedded model. `inverter` says how the code is found; None: by the
    encoder. `refine_steps` improves the answer by optimisation.
    """
    return Stylizer(model or embedded_model()).invert(photo, align=align, inverter=inverter, refine_steps=refine_steps)


def draw_masks(
    stylizer: Stylizer, masks: Sequence[str] = (), *, picture: Picture | str | Path | None = None,
    align: AlignConfig | None = None, seed: int = 0, progress: Progress | None = None,
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """A sheet [3, H, W] of what each mask changes in one face, and the size of each mask's family of codes (0 to about 1).

    `masks` are texts as `FitConfig.random_layers` takes them; empty: every preset and every layer of the model. The face is
    that of `picture`, or without one a random face of `seed`.
    """
    generator, resolution = stylizer.model.generator, stylizer.resolution
    named: dict[str, RandomLayers] = {text: parse_mask(text, resolution, stylizer.features_in(text)) for text in masks}
    chosen = named or usual_masks(resolution)
    face = random_codes(generator, 1, seed=seed) if picture is None else stylizer.invert(picture, align=align).w_plus
    # Not the seed of the face: its own code would be the first of the random ones.
    return mask_sheet(generator, face.to(stylizer.device), chosen, seed=seed + 1, progress=progress)
