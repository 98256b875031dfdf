"""Options of every verb: how it talks, and where it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mien.runtime import Dtype, check_threads, device_kind

DeviceName = Annotated[str, "where to compute: cpu, cuda, cuda:1, mps, or auto for CUDA, then MPS, then the CPU"]
_DTYPE = "number type of the convolutions: float32 is exact, bfloat16 is faster where supported"


@dataclass(frozen=True)
class Screen:
    """What a command prints."""

    json: Annotated[bool, "print one JSON document instead of lines"] = False
    quiet: Annotated[bool, "show errors only: no progress and no notes"] = False
    debug: Annotated[bool, "show the whole traceback of an error"] = False


@dataclass(frozen=True)
class Threads:
    """How many threads a command computes with."""

    threads: Annotated[int | None, "CPU threads; default: one per core"] = None

    def __post_init__(self) -> None:
        check_threads(self.threads)


@dataclass(frozen=True)
class Machine(Threads):
    """Where a command computes."""

    device: DeviceName = "cpu"
    dtype: Annotated[Dtype, _DTYPE] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        device_kind(self.device)

    @property
    def bf16(self) -> bool:
        """Whether convolutions run in bfloat16."""
        return self.dtype == "bfloat16"


@dataclass(frozen=True)
class TrainMachine(Machine):
    """Where training computes."""

    device: DeviceName = "auto"
    dtype: Annotated[Literal["auto", Dtype], f"{_DTYPE}; auto takes it on GPUs that have it"] = "auto"  # type: ignore[assignment]
