"""Means of what training measured since the last line of statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mien.training.objectives import Measured
from mien.training.session import DivergedError


class Totals:
    """Sums on the device, which nothing waits for until they are read."""

    def __init__(self) -> None:
        self.sums: Measured = {}
        self.counts: dict[str, int] = {}

    def add(self, measured: Measured) -> None:
        """Add what one step measured."""
        for name, value in measured.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self, images: int) -> dict[str, float]:
        """The means so far; waits for the device. Raises `DivergedError` where one is no number."""
        found = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        if not all(map(math.isfinite, found.values())):
            raise diverged(images)
        return found

    def clear(self) -> None:
        """Begin another line."""
        self.sums, self.counts = {}, {}

    def tensors(self) -> dict[str, Tensor]:
        """What a training state holds of it, beside the counts."""
        return {f"totals.{name}": value for name, value in self.sums.items()}

    def restore(self, tensors: Mapping[str, Tensor], counts: Mapping[str, Any], device: torch.device) -> None:
        """Go on from stored sums and counts."""
        self.counts = {name: int(count) for name, count in counts.items()}
        self.sums = {name: tensors[f"totals.{name}"].to(device) for name in self.counts}


def diverged(images: int) -> DivergedError:
    """The error of a training whose losses or weights are no numbers any more."""
    return DivergedError(
        f"The losses are no numbers any more after {images} images: start again from the last snapshot with a lower "
        "learning_rate or a higher r1_gamma."
    )
