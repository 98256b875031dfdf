"""The family of codes around each reference that a style is learned from (Chong & Forsyth 2022, equation 1).

A member has the reference's code in the layers that are kept, and a random face's in the rest. In the paper the random face is
a code of the mapping network. But photos come to a finished style as the encoder's codes, with a detail map beside, and in a
small model both lie where no mapped code does: a copy that never met such codes draws them badly. So with an encoder of our own
the random codes are what it says of the model's own faces, and members carry the reference's detail map, more or less of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mien.latents import RandomLayers, StyleCodes, broadcast, mix_rows, mix_styles, style_layers
from mien.models.compact_encoder import CompactEncoder
from mien.models.generator import Generator
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig
from mien.oneshot.layer_masks import parse_layers
from mien.oneshot.random_layers import random_layers, random_rows


def takes_own_faces(config: OneShotConfig, model: Model) -> bool:
    """Whether random layers are taken from what the model's encoder says of its own faces, rather than from the mapping."""
    return config.mixing_latents == "encoder" or (config.mixing_latents == "auto" and isinstance(model.encoder, CompactEncoder))


class Family:
    """Draws members around N references."""

    def __init__(
        self, generator: Generator, w_plus: Tensor, config: OneShotConfig, *, styles: StyleCodes | None = None,
        features: Mapping[str, Mapping[str, Tensor]] | None = None, fresh: Tensor | None = None, detail: Tensor | None = None,
    ) -> None:  # fmt: skip
        """`w_plus` [N, num_ws, w_dim] are the references' codes, `detail` [N, C, r, r] their detail maps (None: none).

        `styles` [N] are S codes to mix with in place of those of `w_plus`, for space `s`. `features` are the channels of the
        parts of the face that `config.random_layers` may name. `fresh` [M, num_ws, w_dim] are the codes that random layers are
        taken from; None: the mapping network's.
        """
        self.base, self.config, self.w_plus = generator, config, w_plus
        self.given_styles, self.fresh = styles, fresh
        self.detail = detail if config.feature_code else None
        resolution = generator.config.resolution
        self.layers: RandomLayers
        if config.space == "s":
            self.layers = random_layers(resolution, config, features)
            self.reference_styles = self._reference_styles(styles)
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
    def codes(self, index: Tensor, random: torch.Generator) -> StyleCodes | Tensor:
        """One fresh member around each chosen reference: S codes, or W+ in space w_plus."""
        w = self._random_codes(len(index), random)
        if self.config.space == "w_plus":
            return mix_rows(self.w_plus[index], w, self.rows)
        return mix_styles(self.reference_styles.select(index), self.base.synthesis.styles(w), self.layers)

    def _random_codes(self, count: int, random: torch.Generator) -> Tensor:
        if self.fresh is not None:
            return self.fresh[torch.randint(len(self.fresh), (count,), generator=random)]
        z = torch.randn(count, self.base.config.z_dim, generator=random).to(self.w_plus.device)
        return broadcast(self.base.mapping(z), self.base.num_ws)

    def details(self, index: Tensor, random: torch.Generator) -> Tensor | None:
        """The detail maps [n, C, r, r] of the chosen references, each times a random number up to `config.feature_code`."""
        if self.detail is None:
            return None
        shares = torch.rand(len(index), 1, 1, 1, generator=random) * self.config.feature_code
        return self.detail[index] * shares.to(self.detail)
