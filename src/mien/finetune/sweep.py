"""Several fine-tunings of one model on one data set, side by side: the paper's "adjust the layers for each data set"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from torch import Tensor

from mien.checkpoint.bundle import read_model
from mien.checkpoint.state import has_state, read_state
from mien.config import from_mapping
from mien.errors import InputError
from mien.finetune.freeze import PlanConfig, method
from mien.finetune.run_folder import RunFolder, sample_pictures
from mien.finetune.swap import swap
from mien.finetune.train import Outcome, Session, train
from mien.finetune.train_config import TrainConfig, changed

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
    """Train every variant in a folder of its own below `folder`, all from the same source, seed and pictures.

    A sweep that was stopped goes on where it was: variants that are complete are not touched.
    Raises `InputError` for two variants of one name, and for a configuration without a source or an end.
    """
    names = [v.name for v in variants]
    if len(set(names)) < len(names):
        raise InputError(f"Two of {', '.join(names)} are the same: give each once.")
    if not config.source or not config.kimg:
        raise InputError("A sweep compares fine-tunings of one model, all of one length: give --from MODEL and --kimg.")
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


def sweep_pictures(
    folder: Path, names: Sequence[str], cuts: Sequence[int], *, count: int, seed: int = 0
) -> Iterator[tuple[str, Tensor]]:
    """The same `count` faces in the source, in every variant, and in its swaps with the source at `cuts`, each with its name.

    A swap has the source's blocks below the cut and the variant's from there on. Pictures are [count, 3, R, R].
    """
    for index, name in enumerate(names):
        run = RunFolder(folder / name)
        config, source, target = run.config(), read_model(run.source), read_model(run.model)
        assert config is not None
        if index == 0:
            yield "source", sample_pictures(source.generator, count, seed=seed)
        low_rows = max(0, 2 * config.plan.freeze_styles - 1)
        yield name, sample_pictures(target.generator, count, seed=seed, source=source.generator, source_rows=low_rows)
        for cut in cuts:
            pictures = sample_pictures(swap(source, target, cut).generator, count, seed=seed)
            yield f"{name}, swapped at {cut} px", pictures
