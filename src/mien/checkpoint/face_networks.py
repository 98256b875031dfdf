"""Small networks that look at faces: the three that come with mien, and measuring networks from files that the user brings.

Ours find five points of a face, the mask of a head, and whose face it is; they are trained by tools/train_landmarks.py,
tools/train_head_mask.py and tools/train_identity.py. None of the measuring networks is part of this project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from mien.checkpoint import native
from mien.checkpoint.model_file import load_strictly, unfilled
from mien.checkpoint.soundness import check_networks
from mien.errors import CheckpointError, shown
from mien.models.head_mask_network import HeadMaskConfig, HeadMaskNetwork
from mien.models.identity import IdentityConfig, IdentityNetwork
from mien.models.landmarks import LandmarkConfig, LandmarkNetwork
from mien.models.mobilefacenet import MobileFaceNet

KIND = "landmarks"
HEAD_MASK_KIND = "head_mask"
IDENTITY_KIND = "identity"

_MOST_SIZE = 4096  # of anything in a description

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
    native.write(path, kind, tensors, {"config": config, "provenance": provenance})


def _read(path: Path, kind: str, build: Callable[[dict[str, Any]], _Network]) -> _Network:
    tensors, document = native.read(path)
    if document["kind"] != kind:
        raise CheckpointError(f"{path} is of the kind {document['kind']}, not {kind}: see `mien inspect {path}`.")
    try:
        _check_reason(document["config"])
        with unfilled():
            network = build(document["config"])
    except (KeyError, TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path} has a damaged description ({shown(error)}): get it again.") from error
    load_strictly(network, native.part(tensors, kind), f"the network in {path}")
    check_networks({kind: network}, path)
    return network.eval().requires_grad_(False)


def _check_reason(config: dict[str, Any]) -> None:
    """A description must not make us build something enormous."""
    if not isinstance(config, dict):
        raise TypeError(f"config is {shown(repr(config), 40)}")
    for name, value in config.items():
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) > 16 or not all(type(n) in (int, float) and 0 < n <= _MOST_SIZE for n in numbers):
            raise ValueError(f"{shown(name, 40)} is {shown(repr(value), 40)}")


def read_mobilefacenet(path: Path) -> MobileFaceNet:
    """A MobileFaceNet from a safetensors file with the names of the published weights, in evaluation mode."""
    network = MobileFaceNet()
    load_strictly(network, native.read_foreign(path), f"the MobileFaceNet in {path}")
    check_networks({"network": network}, path)
    return network.eval().requires_grad_(False)
