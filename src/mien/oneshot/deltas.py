"""What fine-tuning changed in a network, and how it is put into another copy of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mien.errors import ModelMismatchError
from mien.models.generator import SynthesisNetwork


def weight_deltas(base: nn.Module, tuned: nn.Module) -> dict[str, Tensor]:
    """What fine-tuning changed: {parameter name: difference}, float16, without parameters that stayed the same."""
    before = dict(base.named_parameters())
    deltas = {name: p.detach() - before[name].detach() for name, p in tuned.named_parameters()}
    return {name: delta.half().cpu() for name, delta in deltas.items() if bool(delta.any())}


def apply_deltas(base: SynthesisNetwork, deltas: dict[str, Tensor]) -> SynthesisNetwork:
    """A copy of `base` with the differences of `weight_deltas` added.

    Raises `ModelMismatchError` when they name parameters that `base` has not, or has in another shape.
    """
    tuned = copy.deepcopy(base)
    own = dict(tuned.named_parameters())
    if any(name not in own or own[name].shape != delta.shape for name, delta in deltas.items()):
        raise ModelMismatchError(
            "The style changes parts that this model does not have: the style file is damaged, get it again."
        )
    with torch.no_grad():
        for name, delta in deltas.items():
            own[name].add_(delta.to(own[name]))
    return tuned.eval().requires_grad_(False)
