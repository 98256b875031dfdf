"""An encoder trained together with its generator: some of the images that the discriminator judges are reconstructions.

The generator so learns to draw what photos show, the encoder to find it, and the discriminator keeps both from blur
(Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric").
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.latents import Codes
from mien.losses.features import feature_distance, loss_resolutions, multiscale_l1
from mien.models.compact_encoder import CompactEncoder
from mien.models.discriminator import Discriminator
from mien.ops import resize
from mien.training.config import ReconstructionConfig
from mien.training.degradations import degrade

Identify = Callable[[Tensor], Tensor]
"""Images [N, 3, R, R] in [-1, 1] -> unit vectors [N, D] that say who is on them."""


class Reconstruction:
    """The encoder in training, its moving average, and what its reconstructions are judged by."""

    def __init__(self, encoder: CompactEncoder, config: ReconstructionConfig, identify: Identify | None = None) -> None:
        if encoder.config.iterations != 1:
            raise ValueError("an encoder is trained beside its generator with a single look (iterations 1)")
        if config.identity and identify is None:
            raise ValueError("the identity distance needs an identity network")
        self.config, self.identify = config, identify
        self.encoder = encoder.train().requires_grad_(True)
        self.ema = copy.deepcopy(encoder).eval().requires_grad_(False)

    def count(self, batch: int) -> int:
        """How many images of a batch are reconstructions: at least one, and never all."""
        return min(batch - 1, max(1, round(batch * self.config.share)))

    def codes(self, reals: Tensor, w_avg: Tensor, g: torch.Generator, dtype: torch.dtype) -> Codes:
        """Codes for `reals` [N, 3, R, R], seen degraded; some of them with a feature code, the others with zeros for it."""
        seen = degrade(resize(reals, self.encoder.config.resolution), self.config.degraded_share, g)
        start = w_avg.expand(len(seen), self.encoder.config.num_ws, -1)
        # Without the cache of converted weights: a CUDA graph would keep those of its recording.
        with torch.autocast(seen.device.type, torch.bfloat16, enabled=dtype is torch.bfloat16, cache_enabled=False):
            offset, feature_code = self.encoder.look(seen, torch.zeros_like(start))
        if feature_code is not None:
            used = torch.rand(len(seen), 1, 1, 1, generator=g, device=g.device) < self.config.feature_code_share
            feature_code = feature_code.float() * used
        return Codes(start + offset.float(), feature_code)

    def losses(
        self, images: Tensor, reals: Tensor, codes: Codes, mapped: Tensor, w_avg: Tensor, discriminator: Discriminator,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:  # fmt: skip
        """How far reconstructions [N, 3, R, R] are from `reals`, and their codes from fresh mapped ones [M, w_dim]."""
        c, sizes, w_plus = self.config, loss_resolutions(discriminator.config.resolution), codes.w_plus
        # One number for all directions: a batch is too small to know each.
        spread = mapped.detach().var(dim=0).mean().clamp_min(1e-8)
        found = {
            "pixels": c.pixels * multiscale_l1(images, reals, scales=3),
            "prior": c.prior * (w_plus - w_avg).square().mean() / spread,
            "flat": c.flat * (w_plus - w_plus.mean(dim=1, keepdim=True)).square().mean() / spread,
        }
        if codes.feature_code is not None:
            found["feature_code"] = c.feature_code * codes.feature_code.square().mean()
        if c.features:
            with torch.no_grad():
                wanted = discriminator.features(reals, sizes, dtype)
            shown = discriminator.features(images, sizes, dtype)
            found["features"] = c.features * feature_distance([shown[r] for r in sizes], [wanted[r] for r in sizes])
        if c.identity:
            assert self.identify is not None
            with torch.no_grad():
                known = self.identify(reals)
            found["identity"] = c.identity * (1 - (self.identify(images) * known).sum(dim=1)).mean()
        return found

    def networks(self) -> dict[str, nn.Module]:
        """What a training state holds of it."""
        return {"encoder": self.encoder, "encoder_ema": self.ema}
