"""Rendering with two networks at once, ways between faces, and what can be steered without learning again."""

from mien.editing.lockstep import render_between
from mien.editing.strength import Strength, parse_strength
from mien.editing.walk import codes_of_seeds, random_codes, round_trip, steps_between

__all__ = [
    "Strength",
    "codes_of_seeds",
    "parse_strength",
    "random_codes",
    "render_between",
    "round_trip",
    "steps_between",
]
