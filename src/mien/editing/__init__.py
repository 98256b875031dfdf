"""Rendering with two networks at once, ways between faces, and what can be steered without learning again."""

from mien.editing.control import Control, Steering, feature_masks, parse_amounts, virtual_inversion
from mien.editing.interpolation import codes_of_seeds, random_codes, round_trip, steps_between
from mien.editing.lockstep import render_between
from mien.editing.strength import Strength, parse_strength

__all__ = [
    "Control",
    "Steering",
    "Strength",
    "codes_of_seeds",
    "feature_masks",
    "parse_amounts",
    "parse_strength",
    "random_codes",
    "render_between",
    "round_trip",
    "steps_between",
    "virtual_inversion",
]
