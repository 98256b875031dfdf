"""The random codes around each reference that a style is learned from (Chong & Forsyth 2022, equation 1).

A mixed code has the reference's code in the layers that are kept, and a random face's in the rest. In the paper the random face
is a code of the mapping network. But photos come to a finished style as the encoder's codes, with a feature code beside, and in
a small model both lie where no mapped code does: a copy that never met such codes draws them badly. So with an encoder of our
own the random codes are what it finds in the model's own faces, and the reference's feature code is added, more or less of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mien.latents import RandomLayers, StyleCodes, broadcast, mix_rows, mix_styles, style_layers
from mien.models.compact_encoder import CompactEncoder
from mien.models.generator import Generator
from mien.models.model import Model
from mien.models.sampling import map_latents, random_latents
from mien.oneshot.config import OneShotConfig
from mien.oneshot.layer_masks import parse_layers, random_layers, random_rows
from mien.oneshot.references import References

LatentSource = Callable[[int, torch.Generator], Tensor]
"""Draws random codes [count, num_ws, w_dim] of W+, given their number and the random numbers to use."""


def takes_own_faces(config: OneShotConfig, model: Model) -> bool:
    """Whether random layers are taken from what the model's encoder finds in its own faces, rather than from the mapping."""
    return config.mixing_latents == "encoder" or (config.mixing_latents == "auto" and isinstance(model.encoder, CompactEncoder))


def from_mapping(generator: Generator) -> LatentSource:
    """A new code of the mapping network for each that is asked for, as published."""
    return lambda count, random: map_latents(generator, random_latents(generator, count, random))


def from_codes(w_plus: Tensor) -> LatentSource:
    """One of the given codes [M, num_ws, w_dim] for each that is asked for."""
    return lambda count, random: w_plus[torch.randint(len(w_plus), (count,), generator=random)]


class StyleMixing:
    """Draws random codes around N references."""

    def __init__(
        self, generator: Generator, references: References, config: OneShotConfig, latents: LatentSource | None = None
    ) -> None:
        """`latents` draws the random codes; None: `references.mixing_latents`, or else the mapping network."""
        self.base, self.config, self.w_plus = generator, config, references.w_plus
        fresh = references.mixing_latents
        self.latents = latents or (from_mapping(generator) if fresh is None else from_codes(fresh))
        self.references_feature_codes = references.feature_codes if config.feature_code else None
        resolution = generator.config.resolution
        self.layers: RandomLayers
        if config.space == "s":
            self.layers = random_layers(resolution, config, references.part_channels)
            self.reference_styles = self._reference_styles(references.styles)
        else:
            self.rows = random_rows(resolution, config)
            self.layers = frozenset(layer.name for layer in style_layers(resolution) if layer.row in self.rows)

    @torch.no_grad()
    def _reference_styles(self, given: StyleCodes | None) -> StyleCodes:
        network = self.base.synthesis
        found = given or network.styles(self.w_plus)
        if self.config.mean_layers is None:
            return found
        mean = self.base.mapping.w_avg[None].expand(len(self.w_plus), -1)
        layers = parse_layers(self.config.mean_layers, self.base.config.resolution)
        return mix_styles(found, network.styles(broadcast(mean, self.base.num_ws)), layers)

    @torch.no_grad()
    def mixed_codes(self, index: Tensor, random: torch.Generator) -> StyleCodes | Tensor:
        """One new random code around each chosen reference: S codes, or W+ in space w_plus."""
        w = self.latents(len(index), random)
        if self.config.space == "w_plus":
            return mix_rows(self.w_plus[index], w, self.rows)
        return mix_styles(self.reference_styles.select(index), self.base.synthesis.styles(w), self.layers)

    def feature_codes(self, index: Tensor, random: torch.Generator) -> Tensor | None:
        """The feature codes [n, C, r, r] of the chosen references, each times a random number up to `config.feature_code`."""
        if self.references_feature_codes is None:
            return None
        shares = torch.rand(len(index), 1, 1, 1, generator=random) * self.config.feature_code
        return self.references_feature_codes[index] * shares.to(self.references_feature_codes)
