"""Adam as StyleGAN2 uses it, and its moments in a training state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.errors import CheckpointError


class LazyAdam(torch.optim.Adam):
    """Adam for parameters that are regularized every `interval` steps (0: never)."""

    def __init__(self, parameters: list[nn.Parameter], rate: float, interval: int) -> None:
        # Lazy regularization adds one step in `interval`: rate and momenta are scaled to keep the same time scale.
        c = interval / (interval + 1) if interval else 1.0
        self.full_rate = rate * c
        super().__init__(parameters, lr=self.full_rate, betas=(0.0, 0.99**c), eps=1e-8, fused=True)

    def scale_rate(self, factor: float) -> None:
        """Use `factor` times the full learning rate from here on."""
        for group in self.param_groups:
            group["lr"] = self.full_rate * factor


def moments_of(name: str, adam: torch.optim.Adam, trained: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The moments of the `trained` parameters and their counts of steps, as tensors of a training state (not copied)."""
    known = {key: adam.state[p] for key, p in trained.items() if p in adam.state}
    # The first moment is the last gradient (beta 0) and never used again.
    squares = {f"{name}.{key}": state["exp_avg_sq"] for key, state in known.items()}
    return squares | {f"{name}_steps.{key}": state["step"] for key, state in known.items()}


def restore_moments(
    adam: torch.optim.Adam, trained: Mapping[str, nn.Parameter], squares: Mapping[str, Tensor], steps: Mapping[str, Tensor]
) -> None:
    """Put stored moments back; raises `CheckpointError` where they do not fit the parameters."""
    if squares.keys() != steps.keys() or squares.keys() - trained.keys():
        raise CheckpointError("the moments of the training state belong to another plan: start a new run.")
    adam.state.clear()
    for key, value in squares.items():
        p = trained[key]
        if value.shape != p.shape:
            raise CheckpointError(f"the moments of {key} have another shape than its weights: the state is damaged.")
        adam.state[p] = {
            "step": steps[key].to(p.device), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.empty_like(p).copy_(value),
        }  # fmt: skip
