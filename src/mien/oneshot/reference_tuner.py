"""The reference implementation of the fine-tuning step: the published JoJoGAN loop, by the definitions of all formulas.

The reference's features are computed anew at every step, the discriminator keeps its weight gradients, the low-pass filter is
a dense convolution over one-channel planes, every sample has its own modulated weights. It defines the result; `OneShotTuner`
must agree with it, and `mien bench` measures what the difference is worth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mien.losses.features import feature_distance, loss_resolutions
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.generator import Generator
from mien.oneshot.config import OneShotConfig
from mien.oneshot.references import References
from mien.oneshot.style_mixing import LatentSource
from mien.oneshot.tuner import OneShotTuner
from mien.ops import use_ops


class ReferenceTuner(OneShotTuner):
    """`OneShotTuner` without its fast path; float32 and the discriminator's features only."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, references: References, config: OneShotConfig,
        *, latents: LatentSource | None = None, identity: Embedder | None = None,
    ) -> None:  # fmt: skip
        """Takes what `OneShotTuner` takes, but for a feature extractor and a number type."""
        if config.loss != "discriminator":
            raise ValueError(f"the reference implementation compares by the discriminator, not by {config.loss}")
        with use_ops("plain"):
            super().__init__(generator, discriminator, references, config, latents=latents, identity=identity)
        self.discriminator = discriminator
        self.sizes = loss_resolutions(generator.config.resolution)

    def style_distance(self, image: Tensor, index: Tensor) -> Tensor:
        """Equation 2: how far images [n, 3, R, R] are from the chosen references, where these are valid."""
        with torch.no_grad():
            targets = self.discriminator.features(self._seen(self.images[index]), self.sizes)
        found = self.discriminator.features(self._seen(self._framed(image, index)), self.sizes)
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
