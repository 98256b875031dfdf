"""The plain twin of the fine-tuning step: what the published JoJoGAN loop does, with the definitions of all formulas.

The reference's features are computed anew at every step, the discriminator keeps its weight gradients, the low-pass filter is
a dense convolution over one-channel planes, every sample has its own modulated weights. It defines the result; `OneShotTuner`
must agree with it, and `mien bench` measures what the difference is worth.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mien.latents import StyleCodes
from mien.losses.features import feature_distance, loss_resolutions
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.generator import Generator
from mien.oneshot.config import OneShotConfig
from mien.oneshot.tuner import OneShotTuner
from mien.ops import use_ops


class PlainTuner(OneShotTuner):
    """`OneShotTuner` without its fast path; float32 and the discriminator's features only."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, pictures: Tensor, w_plus: Tensor, config: OneShotConfig,
        *, weights: Tensor | None = None, valid: Tensor | None = None, styles: StyleCodes | None = None,
        features: Mapping[str, Mapping[str, Tensor]] | None = None, identity: Embedder | None = None,
        fresh: Tensor | None = None, detail: Tensor | None = None, mirrored: bool = False,
    ) -> None:  # fmt: skip
        """Takes what `OneShotTuner` takes, but for a judge."""
        if config.loss != "discriminator":
            raise ValueError(f"the plain loop compares by the discriminator, not by {config.loss}")
        with use_ops("plain"):
            super().__init__(
                generator, discriminator, pictures, w_plus, config, weights=weights, valid=valid, styles=styles,
                features=features, identity=identity, fresh=fresh, detail=detail, mirrored=mirrored,
            )  # fmt: skip
        self.discriminator = discriminator
        self.sizes = loss_resolutions(generator.config.resolution)

    def style_distance(self, picture: Tensor, index: Tensor) -> Tensor:
        """Equation 2: how far pictures [N, 3, R, R] are from the chosen references, where these are valid."""
        with torch.no_grad():
            targets = self.discriminator.features(self._seen(self.pictures[index]), self.sizes)
        found = self.discriminator.features(self._seen(self._framed(picture, index)), self.sizes)
        weights, valid = self._weights(index), self._valid(index)
        return feature_distance([found[r] for r in self.sizes], [targets[r] for r in self.sizes], weights, valid)

    def step(self) -> float:
        """One update; returns the loss before it."""
        self.discriminator.requires_grad_(True)  # as published: gradients that nobody uses
        with use_ops("plain"):
            value = super().step()
        self.discriminator.requires_grad_(False)
        self.discriminator.zero_grad(set_to_none=True)
        return value
