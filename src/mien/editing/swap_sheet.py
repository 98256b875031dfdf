"""The same faces in two models and in their layer swaps, to choose a cut by eye."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mien.media.contact_sheet import sheet
from mien.models.model import Model
from mien.training.samples import sample_images

_FACES = 6


def draw_swaps(models: Mapping[str, Model], *, seed: int = 0) -> Tensor:
    """A sheet [3, H, W] in [-1, 1]: a column per model under its name, a row per random face of `seed`."""
    columns = [sample_images(model.generator, _FACES, seed=seed) for model in models.values()]
    return sheet([[column[i] for column in columns] for i in range(_FACES)], column_labels=list(models))
