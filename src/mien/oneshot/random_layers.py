"""Which codes of a one-shot fit are random: the S layers, or the rows of W+, that its settings name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mien.errors import InputError
from mien.latents import RandomLayers, keep_below, num_ws, style_layers
from mien.oneshot.config import OneShotConfig
from mien.oneshot.layer_masks import parse_layers, parse_mask

# Rows of W+ that are random in the published code ("M1", "M2" and M2 before February 2022), for 18 rows and fewer.
W_PLUS_MASKS = {"m1": tuple(range(7, 18)), "m2": (9, 11, 15, 16, 17), "m2-2021": (7, 9, 11, 15, 16, 17)}


def random_layers(
    resolution: int, config: OneShotConfig, features: Mapping[str, Mapping[str, Tensor]] | None = None
) -> RandomLayers:
    """The S layers, or with parts of the face the channels, that are random (the paper's M = 0) for space `s`.

    `features` are the channels of the parts, as `parse_mask` takes them.
    """
    if config.random_layers is not None:
        return parse_mask(config.random_layers, resolution, features)
    if config.color == "photo":
        # The counterpart of the published W+ rows 9, 11, 15.. in S: color and the finest texture, without the layers of line.
        return parse_layers("m2", resolution)
    try:
        start = usual_start(resolution) if config.random_from == "auto" else int(config.random_from.removesuffix("px"))
    except ValueError:
        start = 0
    if start not in {layer.resolution for layer in style_layers(resolution)}:
        raise InputError(
            f"random_from is a block size of the model, such as {resolution // 2}px, got {config.random_from!r}: choose one."
        )
    return frozenset(layer.name for layer in style_layers(resolution)) - keep_below(resolution, start)


def usual_start(resolution: int) -> int:
    """Where layers begin to be random: at 64 px of 1024 (the published code), and as far below the top in smaller models.

    There color and line are the business of lower layers: held to the reference's code, they would be learned for this code
    alone. Below 16 px are pose and the shape of the head.
    """
    return min(resolution, max(16, resolution // 16))


def random_rows(resolution: int, config: OneShotConfig) -> tuple[int, ...]:
    """The rows of W+ that are random for space `w_plus`."""
    preset = W_PLUS_MASKS.get("m2" if config.color == "photo" and config.random_rows == "m1" else config.random_rows)
    try:
        rows = preset or tuple(int(row) for row in config.random_rows.split(","))
    except ValueError as error:
        known = ", ".join(W_PLUS_MASKS)
        raise InputError(f"random_rows is one of {known} or row numbers such as 7,9,11, got {config.random_rows!r}.") from error
    rows = tuple(row for row in rows if row < num_ws(resolution))
    if not rows:
        raise InputError(
            f"random_rows {config.random_rows} names none of the model's {num_ws(resolution)} rows: choose lower ones."
        )
    return rows
