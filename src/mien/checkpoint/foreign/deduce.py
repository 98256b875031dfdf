"""The shape of a network, read off the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mien.errors import CheckpointError
from mien.models.layers import channels_at

MAX_RESOLUTION = 2048
MAX_MAPPING_LAYERS = 64


def channel_rule(widths: Mapping[int, int], what: str) -> tuple[int, int]:
    """`channel_base` and `channel_max` such that a block of R pixels has min(channel_max, channel_base / R) channels.

    `widths` is {resolution: channels} for every block size from 4 to R.
    """
    largest = max(widths.values())
    # A block below the maximum gives the base; where there is none, the smallest base that never limits.
    bases = [width * r for r, width in widths.items() if width < largest]
    base = max(bases) if bases else largest * max(widths)
    if any(channels_at(r, base, largest) != width for r, width in widths.items()):
        raise CheckpointError(
            f"{what} has the widths {dict(sorted(widths.items()))}, which do not follow min(maximum, base / resolution): "
            f"this variant of StyleGAN2 is not supported."
        )
    return base, largest


def block_sizes(found: int, what: str) -> tuple[int, ...]:
    """4, 8, ..., for a network with `found` blocks above 4 px."""
    if not 1 <= found <= MAX_RESOLUTION.bit_length() - 3:
        raise CheckpointError(f"{what} has {found + 1} blocks: images of 8 to {MAX_RESOLUTION} px have 2 to 10.")
    return tuple(4 << k for k in range(found + 1))


def tensors_of(value: Any) -> dict[str, Tensor] | None:
    """A state dict's tensors without the `module.` of a model trained on several GPUs, or None for anything else."""
    if not isinstance(value, dict) or not value:
        return None
    if not all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items()):
        return None
    if all(key.startswith("module.") for key in value):
        return {key.removeprefix("module."): item for key, item in value.items()}
    return dict(value)


def shape(tensors: Mapping[str, Tensor], name: str, dims: int, what: str) -> tuple[int, ...]:
    """The shape of a tensor that has to be there and to have `dims` dimensions."""
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != dims or tensor.numel() == 0:
        raise CheckpointError(f"{what} is damaged or of another kind: its tensor {name!r} is missing or of another shape.")
    return tuple(tensor.shape)


def take(tensors: Mapping[str, Tensor], name: str, what: str, *, drop: tuple[int, ...] = ()) -> Tensor:
    """A tensor as stored, without the dimensions `drop`, which have to be of length 1."""
    tensor = tensors.get(name)
    if tensor is None:
        raise CheckpointError(f"{what} is damaged or of another kind: its tensor {name!r} is missing.")
    for dim in sorted(drop, reverse=True):
        if tensor.ndim <= dim or tensor.shape[dim] != 1:
            raise CheckpointError(f"{what} is damaged or of another kind: {name!r} has the shape {list(tensor.shape)}.")
        tensor = tensor.squeeze(dim)
    return tensor


def low_pass_filter(gain: float) -> Tensor:
    """StyleGAN2's filter [4, 4] as files store it: the outer product of [1, 3, 3, 1] with itself, of sum `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps) * gain


def check_filter(kernel: Tensor, gain: float, what: str) -> None:
    """Refuse a low-pass filter other than StyleGAN2's [1, 3, 3, 1]."""
    expected = low_pass_filter(gain)
    if kernel.shape != expected.shape or not torch.allclose(kernel.float(), expected, atol=1e-6):
        raise CheckpointError(
            f"{what} uses another low-pass filter than StyleGAN2's [1, 3, 3, 1]: this variant is not supported."
        )
