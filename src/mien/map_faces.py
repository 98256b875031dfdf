"""The faces of a photo by a mapper: what the pipeline draws where an engine other than its own computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mien.errors import InputError, ModelMismatchError
from mien.faces.results import AlignedPhoto
from mien.mappers.interface import Mapper
from mien.render_config import RenderConfig


def map_faces(mapper: Mapper, photo: AlignedPhoto, config: RenderConfig) -> tuple[Tensor, list[Callable[[], Tensor]]]:
    """Drawn faces [N, 3, S, S], and for each a function that draws it without the style.

    Raises `InputError` for settings that a mapper has not, and `ModelMismatchError` for crops of another size.
    """
    if not isinstance(config.strength, (int, float)) or not 0 <= config.strength <= 1:
        raise InputError("Engines other than torch draw one strength from 0 to 1: choose that, or the engine torch.")
    if config.control or config.inversion.method != "encoder":
        raise InputError("Engines other than torch have no `keep`, `exaggerate` and other inverters: leave them out.")
    crops = torch.stack([face.crop for face in photo.faces]).clamp(-1, 1)
    if crops.shape[-1] != mapper.size:
        raise ModelMismatchError(f"The graph draws {mapper.size} px, the model {crops.shape[-1]} px: give its own model.")
    drawn = [mapper(crop[None], strength=config.strength, fidelity=config.fidelity).faces[0] for crop in crops]
    return torch.stack(drawn), [partial(_plain, mapper, crop[None], config.fidelity) for crop in crops]


def _plain(mapper: Mapper, crop: Tensor, fidelity: float | None) -> Tensor:
    return mapper(crop, strength=0.0, fidelity=fidelity).faces[0]
