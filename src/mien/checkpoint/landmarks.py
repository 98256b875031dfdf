"""The three small networks that come with mien: five points of a face, the mask of a head, and whose face it is.

They are trained by tools/train_landmarks.py, tools/train_head_mask.py and tools/train_identity.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from mien.checkpoint import format
from mien.checkpoint.bundle import load_strictly, unfilled
from mien.errors import CheckpointError
from mien.models.head_mask import HeadMaskConfig, HeadMaskNetwork
from mien.models.identity import IdentityConfig, IdentityNetwork
from mien.models.landmarks import LandmarkConfig, LandmarkNetwork

KIND = "landmarks"
HEAD_MASK_KIND = "head_mask"
IDENTITY_KIND = "identity"

_Network = TypeVar("_Network", bound=nn.Module)


def write_landmark_network(path: Path, network: LandmarkNetwork, provenance: dict[str, Any]) -> None:
    """Save a landmark network in half precision; `provenance` says who trained it on what."""
    _write(path, KIND, network, asdict(network.config), provenance)


def write_head_mask_network(path: Path, network: HeadMaskNetwork, provenance: dict[str, Any]) -> None:
    """Save a head mask network in half precision; `provenance` says who trained it on what."""
    _write(path, HEAD_MASK_KIND, network, asdict(network.config), provenance)


def write_identity_network(path: Path, network: IdentityNetwork, provenance: dict[str, Any]) -> None:
    """Save an identity network in half precision; `provenance` says who trained it on what."""
    _write(path, IDENTITY_KIND, network, asdict(network.config), provenance)


def read_landmark_network(path: Path | None = None) -> LandmarkNetwork:
    """Load a landmark network in evaluation mode, in float32 on the CPU; None: the one that comes with mien, loaded once."""
    return _embedded_landmarks() if path is None else _read_landmarks(path)


def read_head_mask_network(path: Path | None = None) -> HeadMaskNetwork:
    """Load a head mask network in evaluation mode, in float32 on the CPU; None: the one that comes with mien, loaded once."""
    return _embedded_head_mask() if path is None else _read_head_mask(path)


def read_identity_network(path: Path | None = None) -> IdentityNetwork:
    """Load an identity network in evaluation mode, in float32 on the CPU; None: the one that comes with mien, loaded once."""
    return _embedded_identity() if path is None else _read_identity(path)


@lru_cache(maxsize=1)
def _embedded_landmarks() -> LandmarkNetwork:
    with as_file(files("mien") / "data" / "landmarks.safetensors") as path:
        return _read_landmarks(path)


@lru_cache(maxsize=1)
def _embedded_head_mask() -> HeadMaskNetwork:
    with as_file(files("mien") / "data" / "head_mask.safetensors") as path:
        return _read_head_mask(path)


@lru_cache(maxsize=1)
def _embedded_identity() -> IdentityNetwork:
    with as_file(files("mien") / "data" / "identity.safetensors") as path:
        return _read_identity(path)


def _read_landmarks(path: Path) -> LandmarkNetwork:
    return _read(path, KIND, lambda config: LandmarkNetwork(LandmarkConfig(**config)))


def _read_head_mask(path: Path) -> HeadMaskNetwork:
    return _read(path, HEAD_MASK_KIND, lambda config: HeadMaskNetwork(HeadMaskConfig(**config)))


def _read_identity(path: Path) -> IdentityNetwork:
    return _read(path, IDENTITY_KIND, lambda config: IdentityNetwork(IdentityConfig(**config)))


def _write(path: Path, kind: str, network: nn.Module, config: dict[str, Any], provenance: dict[str, Any]) -> None:
    tensors = {
        f"{kind}.{name}": value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    format.write(path, kind, tensors, {"config": config, "provenance": provenance})


def _read(path: Path, kind: str, build: Callable[[dict[str, Any]], _Network]) -> _Network:
    tensors, document = format.read(path)
    if document["kind"] != kind:
        raise CheckpointError(f"{path} is of the kind {document['kind']}, not {kind}: see `mien inspect {path}`.")
    try:
        with unfilled():
            network = build(document["config"])
    except (KeyError, TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path} has a damaged description ({error}): get it again.") from error
    load_strictly(network, format.part(tensors, kind), f"the network in {path}")
    return network.eval().requires_grad_(False)
