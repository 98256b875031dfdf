"""The configuration of a training run from a few overrides, and what may change when it is continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

from mien.errors import InputError
from mien.training.config import SIZES, NetworkConfig, PlanConfig, Size, TrainConfig
from mien.training.freeze import method

# How long a stage before the last trains, in thousands of images: until faces are varied and clean, from our own runs.
_STAGE_KIMG = {8: 30.0, 16: 50.0, 32: 80.0, 64: 250.0, 128: 600.0, 256: 1200.0, 512: 2000.0}


# What may be another value when a run is continued: it does not change what a step computes.
# Paths may change too: the images have a digest in the state, and the source is copied into the run.
CHANGEABLE = frozenset({"data", "source", "kimg", "snapshot_minutes", "snapshot_kimg", "keep_kimg", "cuda_graphs"})


def preset(resolution: int, size: Size, *, bf16: bool) -> dict[str, Any]:
    """Settings (dotted names) that suit a resolution and a size of network.

    R1 as in our own runs: 0.1 at 64 px, times 2.8 for every doubling. Large networks take the published learning rate and path
    length regularization (weight 2).
    """
    found: dict[str, Any] = {f"network.{f.name}": getattr(SIZES[size], f.name) for f in fields(NetworkConfig)}
    found |= {
        "adversarial.batch": 32 if resolution <= 64 or size != "lean" else 16,
        "adversarial.r1_gamma": round(0.1 * (resolution / 64) ** 1.5, 4),
        "adversarial.bf16": bf16,
        "adversarial.learning_rate": 2.5e-3 if size != "large" else 2e-3,
        "adversarial.pl_weight": 2.0 if size == "large" else 0.0,
    }
    return found


def resolve(overrides: Mapping[str, Any], *, size: str, bf16: bool, method_name: str = "") -> TrainConfig:
    """A configuration from `overrides` (dotted names), on top of the preset for the last resolution.

    Lengths of stages that are not given follow from their resolutions. Raises `InputError` for what cannot be.
    """
    if size not in get_args(Size):
        raise InputError(f"There is no size '{size}': choose one of {', '.join(get_args(Size))}.")
    stages = tuple(overrides.get("stages", TrainConfig.stages))
    last = stages[-1] if stages else 0
    values: dict[str, Any] = preset(last, size, bf16=bf16) if last >= 8 else {}  # type: ignore[arg-type]
    values["stage_kimg"] = tuple(_STAGE_KIMG.get(r, 1000.0) for r in stages[:-1])
    if method_name:
        wanted = method(method_name, last)
        values |= {f"plan.{f.name}": getattr(wanted, f.name) for f in fields(PlanConfig)}
    return changed(TrainConfig(data=str(overrides["data"])), {"size": size, **values, **overrides})


def changed(config: TrainConfig, overrides: Mapping[str, Any]) -> TrainConfig:
    """The configuration with other values, given by dotted names; raises `InputError` for what cannot be."""
    groups: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for name, value in overrides.items():
        group, _, key = name.rpartition(".")
        (groups.setdefault(group, {}) if group else plain)[key] = value
    try:
        parts = {group: replace(getattr(config, group), **values) for group, values in groups.items()}
        return replace(config, **plain, **parts)
    except ValueError as error:
        raise InputError(f"This training cannot be: {error}.") from error


def differences(stored: TrainConfig, wanted: TrainConfig) -> dict[str, tuple[object, object]]:
    """Settings (dotted names) that differ although they may not when a run is continued: (stored, wanted)."""
    return {n: (a, b) for n, (a, b) in _pairs(stored, wanted, "").items() if a != b and n not in CHANGEABLE}


def _pairs(a: Any, b: Any, prefix: str) -> dict[str, tuple[object, object]]:
    found: dict[str, tuple[object, object]] = {}
    for f in fields(a):
        mine, other = getattr(a, f.name), getattr(b, f.name)
        found |= _pairs(mine, other, f"{f.name}.") if is_dataclass(mine) else {f"{prefix}{f.name}": (mine, other)}
    return found


def check_same(stored: TrainConfig, config: TrainConfig, path: Path) -> None:
    """Refuse, with an `InputError`, to go on with the run in `path` under another configuration than its own."""
    if bool(stored.source) != bool(config.source):
        raise InputError(f"{path} holds a run {'' if stored.source else 'not '}begun from a model: give the same source.")
    found = differences(stored, config)
    if found:
        name, (there, here) = next(iter(found.items()))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(
            f"{path} holds a run with {name} = {there!r}, not {here!r}{more}: take another folder or the same options."
        )
