"""Rendering with two networks at once, and what can be steered there without learning again."""

from mien.editing.lockstep import render_between
from mien.editing.strength import Strength, parse_strength

__all__ = ["Strength", "parse_strength", "render_between"]
