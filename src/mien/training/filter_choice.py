"""Which method of the low-pass filter is the fastest on a device, measured before a long run.

On a GPU the filter can cost more than the convolutions around it, and by which method it does not depends on the card, on the
number type and on cuDNN. So all of them filter what one training step filters, forward and backward, for half a minute at most.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from mien.errors import InputError, MienError
from mien.latents import resolutions
from mien.models.layers import channels_at
from mien.ops import FirMethod, downsample2, fir, methods_for, upsample2, use_fir
from mien.runtime import wait_for
from mien.training.config import NetworkConfig, TrainConfig
from mien.training.distributed import Processes
from mien.training.session import Session

_ROUNDS = 5
_WARM_UPS = 2  # the first compiles kernels, the second finds the memory
_HOPELESS = 3.0


@dataclass(frozen=True)
class FirTime:
    """What one method takes for all filters of a step of generator and discriminator, there and back."""

    method: FirMethod
    seconds: float | None
    """Median of the rounds; None where the method does not run here."""
    problem: str = ""
    """Why it does not."""


@dataclass(frozen=True)
class _Work:
    run: Callable[[Tensor], Tensor]
    x: Tensor


def time_methods(
    resolution: int, network: NetworkConfig, batch: int, device: torch.device, dtype: torch.dtype, *, seconds: float = 30.0
) -> list[FirTime]:
    """Time every method that the device can run, the fastest first, in about `seconds` at most.

    `batch` images of `resolution` px go through networks of the widths of `network`. Rounds are interleaved; what takes more
    than three times as long as another in the second warm-up is timed no further.
    """
    methods = methods_for(device)
    problems: dict[FirMethod, str] = {}
    times: dict[FirMethod, list[float]] = {method: [] for method in methods}
    warm: dict[FirMethod, float] = {}
    end = time.perf_counter() + seconds
    for round_ in range(_WARM_UPS + _ROUNDS):
        for method in methods:
            late = time.perf_counter() > end and bool(times[method] or warm.get(method))
            if method in problems or late or (round_ >= _WARM_UPS and warm[method] > _HOPELESS * min(warm.values())):
                continue
            try:
                found = _seconds(method, resolution, network, batch, device, dtype)
            except Exception as error:  # Triton without a C compiler, cuDNN without a plan: one method less, and said so
                problems[method] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
                continue
            if round_ >= _WARM_UPS:
                times[method].append(found)
            else:
                warm[method] = found
    ready = [FirTime(m, statistics.median(times[m] or [warm[m]])) for m in methods if m not in problems]
    ready.sort(key=lambda line: line.seconds or 0.0)
    return ready + [FirTime(method, None, problem) for method, problem in problems.items()]


def choose(times: list[FirTime]) -> FirMethod:
    """The fastest method of those that run. Raises `MienError` where none does."""
    for line in times:
        if line.seconds is not None:
            return line.method
    raise MienError(
        f"The low-pass filter runs by no method here ({'; '.join(f'{t.method}: {t.problem}' for t in times)}): "
        "choose a smaller batch, or the CPU."
    )


def check_method(method: FirMethod, device: torch.device) -> None:
    """Raise `InputError` where the device cannot run the method."""
    if method not in methods_for(device):
        raise InputError(
            f"Filter method {method} does not run on {device.type}: choose one of {', '.join(methods_for(device))}, or auto."
        )


def _seconds(
    method: FirMethod, resolution: int, network: NetworkConfig, batch: int, device: torch.device, dtype: torch.dtype
) -> float:
    spent = 0.0
    with use_fir(method):
        for size in resolutions(resolution)[1:]:
            for work in _filters_at(size, network, batch, device, dtype):
                wait_for(device)
                begun = time.perf_counter()
                out = work.run(work.x)
                torch.autograd.grad(out, work.x, torch.ones_like(out))
                wait_for(device)
                spent += time.perf_counter() - begun
    return spent


def _filters_at(size: int, network: NetworkConfig, batch: int, device: torch.device, dtype: torch.dtype) -> list[_Work]:
    """What blocks of `size` px of both networks filter: after the up-convolution, in skip paths, before the strided one."""
    channels = channels_at(size, network.channel_base, network.channel_max)

    def maps(count: int, side: int, kind: torch.dtype = dtype) -> Tensor:
        x = torch.ones(batch, count, side, side, device=device, dtype=kind)
        return x.contiguous(memory_format=torch.channels_last).requires_grad_()

    return [
        _Work(lambda x: fir(x, 1, gain=4.0), maps(channels, size + 1)),
        _Work(upsample2, maps(3, size // 2, torch.float32)),
        _Work(lambda x: fir(x, 2), maps(channels, size)),
        _Work(downsample2, maps(channels, size)),
    ]


def pick_method(config: TrainConfig, session: Session, processes: Processes, begun: Sequence[Any] | None) -> FirMethod:
    """The method of a run: the session's, the one that the run `begun` with on the same kind of device, or the fastest.

    Every process takes the same one, which the first one measures.
    """
    device, loop, tell = session.device, config.adversarial, session.tell if processes.first else _silent
    if session.fir is not None:
        return session.fir
    if begun and begun[1] == device.type and begun[0] in methods_for(device):
        return cast("FirMethod", begun[0])
    if not _is_measured(device):
        return methods_for(device)[0]
    tell("choosing how to compute the low-pass filter, in half a minute at most")
    found = problem = ""
    if processes.first:  # all take the same, and so when the run is continued
        dtype = torch.bfloat16 if loop.bf16 else torch.float32
        times = time_methods(config.stages[-1], config.network, loop.micro_batch or loop.batch, device, dtype)
        for line in times:
            if line.problem:
                tell(f"low-pass filter: {line.method} does not run: {line.problem}")
        try:
            found = choose(times)
        except MienError as error:
            problem = str(error)
    found, problem = processes.of_first(found), processes.of_first(problem)
    if problem:
        raise MienError(problem)
    tell(f"low-pass filter: {found}")
    return cast("FirMethod", found)


def _silent(line: str) -> None:
    pass


def _is_measured(device: torch.device) -> bool:
    return device.type == "cuda"  # on CPUs depthwise was always far ahead
