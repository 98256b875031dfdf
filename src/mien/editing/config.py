"""Settings of what is done to a style without learning again: how much of it, and in which parts of the face."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from mien.errors import InputError

Side = Literal["low", "high"]
"""A model of a layer swap: the one that gives the low resolutions, or the high ones."""

KEEP = "parts that stay the person's own, 0 to 1: eyes, brows, nose, mouth, jaw, hair"
EXAGGERATE = "parts that take the reference's shape, 0 to 2"
FEATURES = ("eyes", "brows", "nose", "mouth", "jaw", "hair")
_MOST = 2.0
BANDS = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 1024)}
"""Smallest and largest block of each band in pixels (Karras et al. 2019, section 3)."""


@dataclass(frozen=True)
class Strength:
    """Style strength per band: 0 is the base model, 1 the full style, beyond 1 exaggerates.

    `coarse` acts in the blocks of 4 and 8 px (pose, the shape of the head), `middle` in those of 16 and 32 px (the features of
    the face), `fine` from 64 px on (line, color, texture). A model of 32 px has its last block in `fine`.
    """

    coarse: float = 1.0
    middle: float = 1.0
    fine: float = 1.0

    def __post_init__(self) -> None:
        for band in fields(self):
            value = getattr(self, band.name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"The strength must be a number from 0, got {value:g} for {band.name}: 1 is the full style.")

    def at(self, block: int, resolution: int) -> float:
        """The strength in the block of `block` px of a model of `resolution` px."""
        if block <= BANDS["coarse"][1]:
            return self.coarse
        return self.fine if is_fine(block, resolution) else self.middle

    @classmethod
    def of(cls, value: float | Strength) -> Strength:
        """One number for all bands, or the bands themselves."""
        return value if isinstance(value, Strength) else cls(value, value, value)


def is_fine(block: int, resolution: int) -> bool:
    """Whether the block of `block` px of a model of `resolution` px draws line, color and texture rather than shape."""
    return block >= min(BANDS["fine"][0], resolution)


def parse_strength(text: str) -> Strength:
    """`0.8`, or bands such as `coarse=1,middle=0.5,fine=1.2`; a number before them is for those not named, which else are 1.

    Raises `InputError` for anything else.
    """
    values: dict[str, float] = {}
    rest = 1.0
    bands = [band.name for band in fields(Strength)]
    for index, part in enumerate(text.split(",")):
        band, equals, number = (piece.strip() for piece in part.rpartition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        known = band in bands and band not in values if equals else index == 0
        if not known or not math.isfinite(value):
            raise InputError(
                f"A strength is a number such as 0.8, or bands such as coarse=1,middle=0.5,fine=1.2; got '{text}'."
            )
        if equals:
            values[band] = value
        else:
            rest = value
    return Strength(**{band: values.get(band, rest) for band in bands})


@dataclass(frozen=True)
class Control:
    """Amounts per part of the face; parts that are not named are left as they are, or, beside `keep`, taken in full."""

    keep: Annotated[Mapping[str, float], KEEP] = field(default_factory=dict)
    exaggerate: Annotated[Mapping[str, float], EXAGGERATE] = field(default_factory=dict)

    def __post_init__(self) -> None:
        both = sorted(self.keep.keys() & self.exaggerate.keys())
        if both:
            raise InputError(f"{', '.join(both)} cannot be kept and exaggerated at once: name it once.")
        for what, amounts, most in (("keep", self.keep, 1.0), ("exaggerate", self.exaggerate, _MOST)):
            for part, amount in amounts.items():
                if part not in FEATURES or not 0 <= amount <= most:
                    raise InputError(
                        f"`{what}` takes {', '.join(FEATURES)}, each with an amount from 0 to {most:g}; got {part}={amount:g}."
                    )

    def __bool__(self) -> bool:
        return bool(self.keep or self.exaggerate)
