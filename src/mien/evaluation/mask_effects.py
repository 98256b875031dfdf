"""What the masks of style mixing change in a face, drawn and measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mien.faces import AlignConfig
from mien.latents import RandomLayers
from mien.media.images import ImageData
from mien.models.sampling import random_codes
from mien.oneshot.layer_masks import mask_sheet, parse_mask, usual_masks
from mien.pipeline import Stylizer
from mien.runtime import Progress


def draw_masks(
    stylizer: Stylizer, masks: Sequence[str] = (), *, image: ImageData | str | Path | None = None,
    align: AlignConfig | None = None, seed: int = 0, progress: Progress | None = None,
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """A sheet [3, H, W] of what each mask changes in one face, and how much its random codes differ (0 to about 1).

    `masks` are texts as `OneShotConfig.random_layers` takes them; empty: every preset and every layer of the model. The face is
    that of `image`, or without one a random face of `seed`.
    """
    generator, resolution = stylizer.model.generator, stylizer.resolution
    named: dict[str, RandomLayers] = {text: parse_mask(text, resolution, stylizer.features_in(text)) for text in masks}
    chosen = named or usual_masks(resolution)
    face = random_codes(generator, 1, seed=seed) if image is None else stylizer.invert(image, align=align).w_plus
    # Not the seed of the face: its own code would be the first of the random ones.
    return mask_sheet(generator, face.to(stylizer.device), chosen, seed=seed + 1, progress=progress)
