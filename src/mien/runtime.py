"""Where and how numbers are computed: device, number type, threads, seeds.

torch is imported inside the functions, not here: `mien --help` must answer before torch would have loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mien.errors import InputError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16"]
FirMethod = Literal["depthwise", "planes", "shifts", "triton"]
"""Methods of the low-pass filter (`mien.ops.fir_methods`)."""
Fir = Literal["auto", FirMethod]
"""One of them, or `auto` for the one that suits the device."""

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, loss of the last step) while something long runs."""


def device_kind(name: str) -> str:
    """`cuda` of `cuda:1`; raises `InputError` for what cannot be a device on any machine."""
    kind, colon, index = name.partition(":")
    if kind not in get_args(Device) or (colon and not (index.isdecimal() and kind != "auto")):
        raise InputError(f"There is no device '{name}': choose one of {', '.join(get_args(Device))}, or cuda:1 of several.")
    return kind


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes CUDA, then Apple's MPS, then the CPU. `cuda:1` picks one of several.

    Raises `InputError` when the device is asked for by name and is not there: nothing falls back silently.
    """
    import torch

    kind = device_kind(name)
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if present[d]))
    if not present[kind]:
        raise InputError(
            f"Device '{kind}' is not available to torch {torch.__version__} on this machine: "
            "set `device` to cpu, or install a build of torch for your GPU (docs/troubleshooting.md)."
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"'{name}' is not a device: write for example cuda or cuda:1.") from error
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"There is no '{name}': this machine has {torch.cuda.device_count()} CUDA device(s), counted from 0.")
    return device


def pick_dtype(name: str = "float32") -> torch.dtype:
    """`float32` (the definition) or `bfloat16` (convolutions only; quicker where the processor has it)."""
    import torch

    if name not in get_args(Dtype):
        raise InputError(f"There is no number type '{name}': choose one of {', '.join(get_args(Dtype))}.")
    found: torch.dtype = getattr(torch, name)
    return found


def check_threads(count: int | None) -> None:
    """Raise `InputError` for a number of threads that this machine has no cores for."""
    cores = os.cpu_count() or 1
    if count is not None and not 1 <= count <= cores:
        raise InputError(f"`threads` must be from 1 to {cores}, the cores of this machine; got {count}.")


def set_threads(count: int | None) -> None:
    """Limit torch to `count` CPU threads; `None` leaves its own choice (one per core)."""
    check_threads(count)
    if count is None:
        return
    import torch

    torch.set_num_threads(count)


def free_memory() -> int | None:
    """Bytes of memory that can be used without pushing anything out; None where the system does not tell.

    On Linux what is available, or what is left of the container's limit if that is less; elsewhere half of all memory.
    """
    try:
        table = Path("/proc/meminfo").read_text(encoding="ascii")
        free = next(int(line.split()[1]) * 1024 for line in table.splitlines() if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        if not hasattr(os, "sysconf"):
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return min(free, max(0, limit - used))


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given: before a clock is read."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seeded(seed: int) -> torch.Generator:
    """Random numbers that start from `seed`. The generator lives on the CPU, so that a seed means the same on every device."""
    import torch

    if not 0 <= seed < 2**63:
        raise InputError(f"A seed is a whole number from 0 to 2^63 - 1, got {seed}.")
    return torch.Generator().manual_seed(seed)
