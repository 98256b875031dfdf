"""What the numbers of a training run may be: beyond these it cannot run, or would need more than any machine has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

_USUAL = (0.0, 1e9)
_RANGES: dict[str, tuple[float, float]] = {
    "batch": (1, 65536), "micro_batch": (0, 65536),
    "r1_interval": (1, 1e6), "pl_interval": (1, 1e6), "ada_interval": (1, 1e6), "pl_batch_shrink": (1, 65536),
    "pl_decay": (0, 1), "mixing": (0, 1), "ada_target": (-1, 1), "ada_kimg": (1e-3, 1e9), "ada_max": (0, 1),
    "ema_kimg": (0, 1e9), "learning_rate": (0, 1e38), "degraded_share": (0, 1), "feature_code_share": (0, 1), "share": (0, 1),
    "z_dim": (1, 8192), "w_dim": (1, 8192), "mapping_layers": (1, 64), "channel_base": (4, 2**20), "channel_max": (1, 8192),
    "mbstd_group": (1, 1024), "width": (1, 8192), "max_width": (1, 8192), "resolution": (8, 2048), "stages": (8, 2048),
    "stats_steps": (1, 1e9), "seed": (0, 2**63 - 1), "widen": (1, 64), "decay_share": (0, 1), "decay_floor": (0, 1),
}  # fmt: skip


def out_of_range(config: Any) -> str:
    """What is wrong with the first number of a configuration that cannot be, as a clause; empty where all can."""
    for name, value in _numbers(config):
        low, high = _RANGES.get(name, _USUAL)
        if not (math.isfinite(value) and low <= value <= high):
            return f"{name} must be from {low:g} to {high:g}, got {value:g}"
    return ""


def _numbers(config: Any) -> Iterator[tuple[str, float]]:
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _numbers(value)
        else:
            several = value if isinstance(value, tuple) else [value]
            yield from ((field.name, item) for item in several if type(item) in (int, float))
