"""The table of a sweep: how near every method and swap came to the target's pictures, and what it kept of the faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from mien.checkpoint.bundle import read_model
from mien.checkpoint.measuring import read_mobilenet_v2
from mien.errors import InputError
from mien.files import write_whole
from mien.finetune.sweep import sweep_pictures
from mien.media.dataset import load_dataset
from mien.metrics.distances import frechet_distance, kernel_distance
from mien.metrics.features import in_batches, pooled_features
from mien.metrics.transfer import Transfer, layout_features, measure_transfer, transfer_table
from mien.runtime import Progress


def measure_sweep(
    folder: Path, names: Sequence[str], cuts: Sequence[int], data: Path, network: Path, samples: int,
    progress: Progress | None = None,
) -> list[Transfer]:  # fmt: skip
    """Measure every method of the sweep in `folder` and its swaps at `cuts`, write table.md there, and return its rows.

    `data` are the target's pictures, `network` is a MobileNetV2 as TFLite. Distances compare at equal counts only, so
    `samples` pictures of every model stand against as many of one half of the data, and the other half gives the floor.
    Raises `InputError` for fewer than four pictures of the target.
    """
    describe = partial(pooled_features, read_mobilenet_v2(network))
    real = load_dataset(data, read_model(folder / names[0] / "model.safetensors").resolution).pixels
    count = min(samples, len(real) // 2)
    if count < 2:
        raise InputError(f"{data} has too few pictures to measure with: --features needs four or more.")
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    half, other = (in_batches(describe, real[order[part : part + count]]) for part in (0, count))
    rows: list[Transfer] = []
    total = 1 + len(names) * (1 + len(cuts))
    for name, pictures in sweep_pictures(folder, names, cuts, count=count):
        layouts = in_batches(layout_features, pictures)
        if not rows:
            source = layouts
        rows.append(measure_transfer(name, (source, layouts), (in_batches(describe, pictures), half)))
        if progress is not None:
            progress(len(rows), total, 0.0)
    floor = frechet_distance(other, half), kernel_distance(other, half)
    write_whole(folder / "table.md", transfer_table(rows, floor, count).encode())
    return rows
