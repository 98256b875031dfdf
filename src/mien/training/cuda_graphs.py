"""Recording a computation as a CUDA graph: thousands of kernels that the host then starts with one call.

At training sizes the host cannot start kernels as fast as a GPU ends them: replayed, a step takes a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mien.errors import InputError
from mien.training.config import CudaGraphs

_WARM_UPS = 3  # caches, cuDNN's choices and lazily made constants must be there before anything is recorded


def record(run: Callable[[], None], random: torch.Generator) -> torch.cuda.CUDAGraph:
    """Record `run`, which may not wait for the device or depend on values; runs it a few times before.

    Replayed, it reads and writes the same memory again, and draws from `random` as an eager call would: seed it before every
    replay.
    """
    side = torch.cuda.Stream(random.device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(random.device))
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            run()
    torch.cuda.current_stream(random.device).wait_stream(side)
    torch.cuda.synchronize(random.device)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(random)
    with torch.cuda.graph(graph):
        run()
    return graph


def uses_graphs(asked: CudaGraphs, device: torch.device, *, resident: bool) -> bool:
    """Whether training steps are recorded: `auto` where that is possible. Raises `InputError` where `on` cannot be.

    `resident` says whether the training images lie on the device.
    """
    possible = device.type == "cuda" and resident
    if asked == "on" and not possible:
        reason = "the training images do not fit on the GPU" if device.type == "cuda" else f"the device is {device.type}"
        raise InputError(f"cuda_graphs is on, but {reason}: choose auto, which does without.")
    return possible and asked != "off"


@contextmanager
def quick_arithmetic(device: torch.device) -> Iterator[None]:
    """On CUDA, TF32 for what is not in bfloat16 and cuDNN's fastest algorithms for fixed shapes, inside the block."""
    if device.type != "cuda":
        yield
        return
    tf32, benchmark = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark = tf32, benchmark
