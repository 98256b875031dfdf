"""The running average of a network's weights (Polyak & Juditsky 1992): steadier than where the last step left them.

One image a step makes the steps differ: the last ones leave a cast of color on everybody's skin. Their average has none.
"""

from __future__ import annotations

import copy

import torch

from mien.models.generator import SynthesisNetwork

_WARM_UP = 9  # updates after which the first weights count for about a tenth


class RunningAverage:
    """The average of all weights so far, of which those of long ago are forgotten."""

    def __init__(self, network: SynthesisNetwork, decay: float) -> None:
        """`decay` 0 to 1: how much of the average is left after an update; less at first."""
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, network: SynthesisNetwork) -> None:
        """Take in the weights as they are now."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + _WARM_UP))
        for mean, now in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
