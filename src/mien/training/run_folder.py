"""The folder of a training run: what lies in it, its lines of statistics and its sample grids.

.lock               held by the process that trains; says nothing by itself
config.toml         the resolved configuration
plan.txt            what is frozen, one section per stage
data.txt            what was read of the data set, what was dropped and why
stats.jsonl         one line per `stats_steps` steps
samples/            grids on fixed codes: <resolution>px-<images>.png; source.png where training starts from a model
model.safetensors   the newest model (moving average and discriminator); model-<resolution>px of finished stages,
                    model-<images> where models are kept
state/              everything that is needed to go on
source.safetensors  the model that training started from
index.html          curves and grids; needs no other file
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.config import from_toml, to_toml
from mien.files import read_text, write_whole
from mien.media.image_data import from_tensor
from mien.media.images import write_image
from mien.training.config import TrainConfig

_MOST_STATISTICS = 512 << 20  # bytes: 50 million steps
_NEEDED = ("px", "images", "steps", "images_per_second", "ada_p")


def _line(text: str) -> dict[str, Any] | None:
    """One line of statistics; None for one that was cut off, or that no run wrote."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not all(type(entry.get(name)) in (int, float) for name in _NEEDED):
        return None
    numbers = (value for value in entry.values() if value is not None)
    return entry if all(type(value) in (int, float) and abs(value) < 1e18 for value in numbers) else None


@dataclass(frozen=True)
class RunFolder:
    """Paths and small files of a run; every file is complete or absent, never half written."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.toml"

    @property
    def state(self) -> Path:
        """The folder of the training state."""
        return self.path / "state"

    @property
    def model(self) -> Path:
        """The newest model."""
        return self.path / "model.safetensors"

    @property
    def source(self) -> Path:
        """The model that training started from."""
        return self.path / "source.safetensors"

    @property
    def statistics(self) -> Path:
        """One JSON document per line."""
        return self.path / "stats.jsonl"

    def config(self) -> TrainConfig | None:
        """The stored configuration, or None where there is none yet."""
        return from_toml(TrainConfig, self.config_file) if self.config_file.exists() else None

    def write_config(self, config: TrainConfig) -> None:
        """Store the configuration."""
        self.write("config.toml", to_toml(config))

    def write(self, name: str, text: str) -> None:
        """Write a text file in one step."""
        write_whole(self.path / name, text)

    def remove_left_overs(self) -> None:
        """Delete what a killed writer left half-written."""
        for folder in (self.path, self.path / "samples"):
            for path in folder.glob(".*.part"):
                path.unlink(missing_ok=True)

    def lines(self) -> list[dict[str, Any]]:
        """All lines of statistics up to the first that was cut off or is none."""
        found: list[dict[str, Any]] = []
        text = read_text(self.statistics, most=_MOST_STATISTICS) if self.statistics.exists() else ""
        for line in text.splitlines():
            entry = _line(line)
            if entry is None:
                break
            found.append(entry)
        return found

    def cut_lines(self, steps: int) -> None:
        """Forget the lines after step `steps`: a killed run went on after its last snapshot, and those steps come again."""
        kept = [line for line in self.lines() if line["steps"] <= steps]
        self.write("stats.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Append one line of statistics."""
        with self.statistics.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line) + "\n")

    def grids(self) -> list[Path]:
        """Sample grids, oldest first."""
        return sorted((self.path / "samples").glob("*px-*.png"))

    def write_grid(self, name: str, grid: Tensor) -> None:
        """Write a sample grid [3, H, W]."""
        folder = self.path / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{name}.png", from_tensor(grid), overwrite=True)
