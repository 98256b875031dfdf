"""What a call of training trains: a run that is there goes on as it was begun, a new one begins as is wished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from mien.checkpoint.load import load_model
from mien.config import from_toml
from mien.errors import InputError
from mien.training.config import SessionConfig, TrainConfig
from mien.training.resolve import changed, resolve
from mien.training.run_folder import RunFolder
from mien.training.session import Session, Tell

NumberType = Literal["auto", "float32", "bfloat16"]


def configure(
    folder: Path, overrides: Mapping[str, Any], *, method: str | None = None, file: Path | None = None,
    device: torch.device | None = None, dtype: NumberType = "auto",
) -> TrainConfig:  # fmt: skip
    """The configuration of the run in `folder`, or of one that is to begin there.

    `overrides` are settings by dotted names ("adversarial.batch"). With `data` among them the rest follows from the size, the
    resolution and the fine-tuning `method`; without it the run that is there goes on, with what may change. A TOML `file`
    stands for all settings. Raises `InputError` for what cannot be, and where there is neither data nor a run.
    """
    device, stored = device or torch.device("cpu"), RunFolder(folder).config()
    if file is not None:
        return changed(from_toml(TrainConfig, file), overrides)
    if "data" not in overrides:
        if stored is None:
            raise InputError(f"There is no run in {folder} to continue: give the folder or zip of images to train on.")
        return changed(stored, overrides)
    stages = overrides.get("stages") or (stored.stages if stored is not None else _stages_of(overrides.get("source")))
    size = overrides.get("size") or (stored.size if stored is not None else "normal" if device.type == "cuda" else "lean")
    bf16 = takes_bf16(device, dtype, stored)
    return resolve({**overrides, "stages": stages}, size=size, bf16=bf16, method_name=method or "")


def takes_bf16(device: torch.device, dtype: NumberType, stored: TrainConfig | None = None) -> bool:
    """Whether convolutions run in bfloat16: what was asked for, what the run began with, or what suits the device."""
    if dtype != "auto":
        return dtype == "bfloat16"
    if stored is not None:
        return stored.adversarial.bf16
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def session(
    config: SessionConfig, device: torch.device, *, tell: Tell, show: Callable[[Mapping[str, Any]], None],
    stop: Callable[[], bool],
) -> Session:  # fmt: skip
    """A session with these settings, which tells and asks by these functions."""
    return Session(
        device=device,
        max_minutes=config.max_minutes,
        part_bytes=None if config.part_megabytes is None else int(config.part_megabytes * 1e6),
        moments=not config.light_state,
        memory_share=config.memory_share,
        fir=None if config.fir == "auto" else config.fir,
        tell=tell,
        show=show,
        stop=stop,
    )


def _stages_of(source: str | None) -> tuple[int, ...]:
    return (load_model(source).resolution,) if source else TrainConfig.stages
