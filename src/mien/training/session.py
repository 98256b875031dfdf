"""How one call of a training runs, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mien.errors import MienError
from mien.ops import FirMethod

Tell = Callable[[str], None]
"""Called with a line of text for people."""


@dataclass(frozen=True)
class Session:
    """How this call runs, as opposed to what the run is."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    max_minutes: float | None = None
    """Stop and write a snapshot after so long; None: when the run is complete."""
    part_bytes: int | None = None
    """Most bytes of one file of the training state; None: one file."""
    moments: bool = True
    """Whether states hold Adam's moments: without them they are smaller, but what continues is another run."""
    memory_share: float = 0.5
    """Share of the free memory that the decoded images may take; what needs more lies in a file in the run folder."""
    fir: FirMethod | None = None
    """How the low-pass filter is computed (`mien.ops.fir_methods`); None: as the run began, which on CUDA is measured."""
    tell: Tell = lambda line: None
    """Notes: the plan, stages, snapshots."""
    show: Callable[[Mapping[str, Any]], None] = lambda line: None
    """Called with every line of statistics."""
    stop: Callable[[], bool] = lambda: False
    """Asked after every step; true: write a snapshot and return."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    complete: bool
    """Whether the run reached its `kimg`, rather than being stopped."""
    images: int
    steps: int
    model: Path


class DivergedError(MienError):
    """The losses are no numbers any more."""
