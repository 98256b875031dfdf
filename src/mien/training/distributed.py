"""One training on one or several processes (torchrun): who does which micro-batch, and sums over all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Processes:
    """This process among all; alone by default."""

    rank: int = 0
    count: int = 1

    @classmethod
    def from_environment(cls, device: torch.device) -> Processes:
        """What torchrun says (RANK, WORLD_SIZE); joins the group. gloo on the CPU, NCCL on CUDA."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(int(os.environ.get("RANK", "0")), count)

    @staticmethod
    def own_device(device: torch.device) -> torch.device:
        """The GPU of this process among those of the machine (LOCAL_RANK), where `device` is CUDA without a number."""
        if device.type != "cuda" or device.index is not None or "LOCAL_RANK" not in os.environ:
            return device
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
        return own

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def share(self, rounds: int) -> range:
        """The micro-batches of this process, of `rounds` in all."""
        return range(self.rank, rounds, self.count)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor (float32) by its sum over all processes: one exchange."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; every process must ask."""
        if self.count == 1:
            return flag
        device = torch.device("cuda") if distributed.get_backend() == "nccl" else torch.device("cpu")
        value = torch.tensor(float(flag), device=device)
        distributed.all_reduce(value)
        return bool(value.item() > 0)

    def of_first(self, value: str) -> str:
        """What the first process says; every process must ask."""
        if self.count == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def leave(self) -> None:
        """Leave the group, if there is one."""
        if self.count > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


def stream_seed(seed: int, step: int, phase: str, micro_batch: int) -> int:
    """The seed of the random numbers of one micro-batch of one phase of one step.

    It follows from these names alone: a resumed run and a run on several processes draw the same numbers.
    """
    name = f"{seed}/{step}/{phase}/{micro_batch}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1
