"""The training state as read from a folder, checked before anything goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.checkpoint.state import read_state
from mien.errors import CheckpointError, shown

_MOST = 2**53  # whole numbers that JSON keeps


def read_run(folder: Path, stages: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a training run with that many stages: tensors and document, as `mien.training.run` writes them.

    Raises `CheckpointError` with one sentence for anything else.
    """
    tensors, document = read_state(folder)
    problem = _problem(tensors, document, stages)
    if problem:
        raise CheckpointError(f"The state in {folder} is damaged, or of something other than this training: {problem}.")
    return tensors, document


def _problem(tensors: Mapping[str, Tensor], document: Mapping[str, Any], stages: int) -> str:
    loop, counts, fir = document.get("loop"), document.get("counts"), document.get("fir")
    if not isinstance(loop, dict) or not isinstance(counts, dict):
        return "it lacks its counts"
    whole = {"stage": (document.get("stage"), stages - 1), "seed": (loop.get("seed"), 2**63 - 1)}
    whole |= {name: (loop.get(name), _MOST) for name in ("images", "steps")}
    whole |= {f"count of {shown(name, 40)}": (value, _MOST) for name, value in counts.items()}
    for name, (value, most) in whole.items():
        if type(value) is not int or not 0 <= value <= most:
            return f"its {name} is {shown(value, 40)}"
    strength = loop.get("ada_p")
    if not isinstance(strength, (int, float)) or not 0 <= strength <= 1 or type(loop.get("moments")) is not bool:
        return "its augmentation or its moments are not told"
    if not isinstance(document.get("pictures"), str):
        return "it does not say which images"
    if fir is not None and not (isinstance(fir, list) and len(fir) == 2 and all(isinstance(name, str) for name in fir)):
        return "its filter is not told"
    single = ["loop.pl_mean", "loop.signs", *(f"totals.{name}" for name in counts)]
    missing = [name for name in single if name not in tensors or tensors[name].numel() != 1]
    return f"it lacks {shown(missing[0], 60)}" if missing else ""
