"""The landmark network that comes with mien: five points of a face, trained by tools/train_landmarks.py."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from mien.checkpoint import format
from mien.checkpoint.bundle import load_strictly
from mien.errors import CheckpointError
from mien.models.landmarks import LandmarkConfig, LandmarkNetwork

KIND = "landmarks"


def write_landmark_network(path: Path, network: LandmarkNetwork, provenance: dict[str, Any]) -> None:
    """Save a landmark network in half precision; `provenance` says who trained it on what."""
    tensors = {
        f"landmarks.{name}": value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    format.write(path, KIND, tensors, {"config": asdict(network.config), "provenance": provenance})


def read_landmark_network(path: Path | None = None) -> LandmarkNetwork:
    """Load a landmark network in evaluation mode, in float32 on the CPU; None: the one that comes with mien, loaded once."""
    return _embedded() if path is None else _read(path)


@lru_cache(maxsize=1)
def _embedded() -> LandmarkNetwork:
    with as_file(files("mien") / "data" / "landmarks.safetensors") as path:
        return _read(path)


def _read(path: Path) -> LandmarkNetwork:
    tensors, document = format.read(path)
    if document["kind"] != KIND:
        raise CheckpointError(f"{path} is a {document['kind']} of mien, not a landmark network: see `mien inspect {path}`.")
    with torch.device("meta"):
        network = LandmarkNetwork(LandmarkConfig(**document["config"]))
    network.to_empty(device="cpu")
    load_strictly(network, format.part(tensors, "landmarks"), f"the landmark network in {path}")
    return network.eval().requires_grad_(False)
