"""Random synthetic faces, in a style or without one: as a grid, as rows from one face to the next, or as an animation."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from mien.editing import Strength, round_trip, steps_between
from mien.errors import InputError
from mien.evaluation.config import SampleConfig
from mien.media.animation import write_animation
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, write_image
from mien.models.sampling import codes_of_seeds, random_codes
from mien.pipeline import Stylizer
from mien.runtime import Progress
from mien.styles import Style

ANIMATIONS = (".gif", ".webp")


def is_animation(out: Path, config: SampleConfig) -> bool:
    """Whether the faces become an animation in a file of that name."""
    return config.interpolate and out.suffix.lower() in ANIMATIONS


def draw_faces(
    stylizer: Stylizer, out: Path, config: SampleConfig | None = None, *, style: Style | None = None,
    strength: float | Strength = 1.0, progress: Progress | None = None,
) -> None:  # fmt: skip
    """Write random faces of the model to the image or animation `out`, which is replaced."""
    config, generator = config or SampleConfig(), stylizer.model.generator
    if config.seeds:
        codes = codes_of_seeds(generator, list(config.seeds), psi=config.psi)
    else:
        codes = random_codes(generator, config.count, seed=config.seed, psi=config.psi)
    if is_animation(out, config):
        way = round_trip(codes, config.frames)
        write_animation(out, stylizer.render_each(way, style, strength, progress), fps=config.fps, overwrite=True)
        return
    way = steps_between(codes, config.frames).flatten(0, 1) if config.interpolate else codes
    drawn = list(stylizer.render_each(way, style, strength, progress))
    across = config.columns or (config.frames if config.interpolate else math.ceil(math.sqrt(len(codes))))
    write_image(out, from_tensor(_grid(drawn, across)), overwrite=True)


def _grid(drawn: list[Tensor], across: int) -> Tensor:
    if not drawn:
        raise InputError("There are no faces to draw: give at least one.")
    return drawn[0] if len(drawn) == 1 else sheet([drawn[i : i + across] for i in range(0, len(drawn), across)], gap=0)
