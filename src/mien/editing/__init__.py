"""Strength by size, parts of the face, ways between faces, layer swaps: what is changed without learning again."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.editing.config import FEATURES as FEATURES
    from mien.editing.config import Control as Control
    from mien.editing.config import Strength as Strength
    from mien.editing.config import parse_strength as parse_strength
    from mien.editing.control import Steering as Steering
    from mien.editing.control import feature_masks as feature_masks
    from mien.editing.control import virtual_inversion as virtual_inversion
    from mien.editing.interpolation import round_trip as round_trip
    from mien.editing.interpolation import steps_between as steps_between
    from mien.editing.lockstep import render_between as render_between
    from mien.editing.regions_sheet import draw_regions as draw_regions
    from mien.editing.swap_sheet import draw_swaps as draw_swaps

__all__ = ["Control", "Strength", "draw_regions", "draw_swaps", "round_trip", "steps_between"]
__getattr__ = names_from(
    __name__,
    {
        "config": "FEATURES Control Strength parse_strength",
        "control": "Steering feature_masks virtual_inversion",
        "interpolation": "round_trip steps_between",
        "lockstep": "render_between",
        "regions_sheet": "draw_regions",
        "swap_sheet": "draw_swaps",
    },
)
