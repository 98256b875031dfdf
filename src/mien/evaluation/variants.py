"""Several fine-tunings of one model on one data set, side by side: the paper's "adjust the layers for each data set".

The table says how near every method and swap came to the target's images, and what it kept of the faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from mien.checkpoint.model_file import read_model
from mien.checkpoint.state import has_state, read_state
from mien.config import from_mapping
from mien.editing.layer_swap import swap_layers
from mien.errors import InputError
from mien.evaluation.transfer import Transfer, layout_features, measure_transfer, transfer_table
from mien.files import write_whole
from mien.losses.extractors import FeatureExtractor
from mien.media.eight_bit import from_uint8
from mien.media.image_dataset import load_dataset
from mien.metrics.distances import frechet_distance, kernel_distance
from mien.ops.batches import in_batches
from mien.runtime import Progress
from mien.training.config import PlanConfig, TrainConfig
from mien.training.freeze import method
from mien.training.resolve import changed
from mien.training.run import train
from mien.training.run_folder import RunFolder
from mien.training.samples import sample_images
from mien.training.session import Outcome, Session

_COUNTED = {
    "baseline": ("freeze_d",), "freeze-g": ("freeze_g",),
    "freeze-sg": ("freeze_g", "freeze_styles"), "structure": ("structure",),
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One fine-tuning: its name (also of its folder) and its plan."""

    name: str
    plan: PlanConfig


def parse_variant(text: str, resolution: int) -> Variant:
    """`structure` with its usual numbers, or `structure:2` with another number of blocks; so for every method."""
    name, colon, count = text.strip().partition(":")
    plan = method(name, resolution)
    if not colon:
        return Variant(name, plan)
    if not count.isdecimal():
        raise InputError(f"'{text}' is no method with a number of blocks: write for example structure:2.")
    return Variant(
        f"{name}-{int(count)}", from_mapping(PlanConfig, {**asdict(plan), **dict.fromkeys(_COUNTED[name], int(count))})
    )


def run_sweep(variants: Sequence[Variant], config: TrainConfig, folder: Path, session: Session) -> dict[str, Outcome]:
    """Train every variant in a folder of its own below `folder`, all from the same source, seed and images.

    An interrupted sweep resumes: variants that are complete are not touched.
    Raises `InputError` for two variants of one name, and for a configuration without a source or an end.
    """
    names = [v.name for v in variants]
    if len(set(names)) < len(names):
        raise InputError(f"Two of {', '.join(names)} are the same: give each once.")
    if not config.source or not config.kimg:
        raise InputError("A sweep compares fine-tunings of one model, all of one length: give a `source` and `kimg`.")
    outcomes: dict[str, Outcome] = {}
    for variant in variants:
        run = RunFolder(folder / variant.name)
        loop = read_state(run.state)[1]["loop"] if has_state(run.state) else {"images": 0, "steps": 0}
        if loop["images"] >= config.kimg * 1000 and run.model.exists():
            outcomes[variant.name] = Outcome(True, loop["images"], loop["steps"], run.model)
            continue
        session.tell(f"--- {variant.name}")
        plan = {f"plan.{f.name}": getattr(variant.plan, f.name) for f in fields(PlanConfig)}
        outcomes[variant.name] = train(changed(config, plan), run.path, session)
        if not outcomes[variant.name].complete and session.stop():
            break
    return outcomes


def sweep_images(
    folder: Path, names: Sequence[str], cuts: Sequence[int], *, count: int, seed: int = 0
) -> Iterator[tuple[str, Tensor]]:
    """The same `count` faces in the source, in every variant, and in its swaps with the source at `cuts`, each with its name.

    A swap has the source's blocks below the cut and the variant's from there on. Images are [count, 3, R, R].
    """
    for index, name in enumerate(names):
        run = RunFolder(folder / name)
        config, source, target = run.config(), read_model(run.source), read_model(run.model)
        assert config is not None
        if index == 0:
            yield "source", sample_images(source.generator, count, seed=seed)
        low_rows = max(0, 2 * config.plan.freeze_styles - 1)
        yield name, sample_images(target.generator, count, seed=seed, source=source.generator, source_rows=low_rows)
        for cut in cuts:
            images = sample_images(swap_layers(source, target, cut).generator, count, seed=seed)
            yield f"{name}, swapped at {cut} px", images


def measure_sweep(
    folder: Path, names: Sequence[str], cuts: Sequence[int], data: Path, extractor: FeatureExtractor, samples: int,
    progress: Progress | None = None,
) -> list[Transfer]:  # fmt: skip
    """Measure every method of the sweep in `folder` and its swaps at `cuts`, write table.md there, and return its rows.

    `data` are the target's images, images are described by `extractor`. Distances compare at equal counts only, so
    `samples` images of every model stand against as many of one half of the data, and the other half gives the floor.
    Raises `InputError` for fewer than four images of the target.
    """
    real = load_dataset(data, read_model(folder / names[0] / "model.safetensors").resolution).pixels
    count = min(samples, len(real) // 2)
    if count < 2:
        raise InputError(f"{data} has too few images to measure with: give four or more.")
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    half, other = (extractor.vectors(from_uint8(real[order[part : part + count]])) for part in (0, count))
    rows: list[Transfer] = []
    total = 1 + len(names) * (1 + len(cuts))
    for name, images in sweep_images(folder, names, cuts, count=count):
        layouts = in_batches(layout_features, images)
        if not rows:
            source = layouts
        rows.append(measure_transfer(name, (source, layouts), (extractor.vectors(images), half)))
        if progress is not None:
            progress(len(rows), total, 0.0)
    floor = frechet_distance(other, half), kernel_distance(other, half)
    write_whole(folder / "table.md", transfer_table(rows, floor, count, extractor.name).encode())
    return rows
