"""JoJoGAN: fine-tune a copy of the generator to one picture, or a few (Chong & Forsyth, ECCV 2022).

A family of codes around the reference's own code is made by style mixing (equation 1); the copy learns to answer every one of
them with the reference (equation 2). Mixing happens in S by default, as the paper does it; the published code mixes rows of W+.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.faces.expression import expression_region
from mien.latents import StyleCodes, style_layers
from mien.losses.extractors import Judge, identity_maps, pixels
from mien.losses.face import identity_loss, layout_loss
from mien.losses.features import FrozenFeatures, feature_distance, grey, loss_resolutions
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.generator import Generator, Noise, SynthesisNetwork
from mien.oneshot.config import OneShotConfig
from mien.oneshot.stopping import LONGEST, enough
from mien.oneshot.style_mixing import Family
from mien.ops import current

_LAYOUT_WEIGHT = 0.2  # of the layout loss beside the style distance, for the gaze of the photo

Progress = Callable[[int, int, float], None]


class OneShotTuner:
    """The loop: owns the tuned copy of the synthesis network; `step` does one update."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, pictures: Tensor, w_plus: Tensor, config: OneShotConfig,
        *, weights: Tensor | None = None, valid: Tensor | None = None, styles: StyleCodes | None = None,
        features: Mapping[str, Mapping[str, Tensor]] | None = None, identity: Embedder | None = None,
        judge: Judge | None = None, fresh: Tensor | None = None, detail: Tensor | None = None, mirrored: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        """`pictures` [N, 3, R, R] in [-1, 1], their inversions `w_plus` [N, num_ws, w_dim]; `weights` [N] weigh them.

        `valid` [N, 1, R, R] in [0, 1] is the part of each picture that is to be learned; None: all of it. `styles`, `features`,
        `fresh` and `detail` are those of `Family`. `mirrored` says that the second half of the references are mirror images of
        the first, in their order. `identity` is the network of the identity loss; None: the one that comes with mien. `judge`
        makes the feature maps that are compared; None: those that `config.loss` names. `dtype` is
        that of the convolutions.
        """
        self.config, self.base = config, generator
        self.synthesis: SynthesisNetwork = copy.deepcopy(generator.synthesis).train().requires_grad_(True)
        self.device = w_plus.device
        self.random = torch.Generator().manual_seed(config.seed)
        self.dtype = dtype
        self.w_plus, self.pictures = w_plus, pictures
        self.count = len(pictures) // 2 if mirrored else len(pictures)
        self.losses: list[float] = []
        self.identity: Embedder | None = None
        if config.identity_weight:
            self.identity = (identity or copy.deepcopy(read_identity_network())).to(self.device)
        self.weights = None if weights is None or bool((weights == weights[0]).all()) else weights / weights.mean()
        self.region = expression_region(pictures).to(self.device) if config.gaze == "photo" else None
        self.valid = valid
        self.family = Family(generator, w_plus, config, styles=styles, features=features, fresh=fresh, detail=detail)
        if config.space == "s":
            for layer in style_layers(generator.config.resolution):  # S codes come from the base: affine layers stay
                self.synthesis.layer(layer.name).affine.requires_grad_(False)
        self.judge = judge or self._usual_judge(discriminator)
        with torch.no_grad():
            self.targets = self.judge(self._seen(pictures))  # constant: computed once
        for name, parameter in self.synthesis.named_parameters():
            if name.endswith("noise_strength") and not bool(parameter.any()):
                parameter.requires_grad_(False)  # a model trained without noise stays without: it would only make speckle
        parameters = [p for p in self.synthesis.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(
            parameters, lr=config.learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=current() == "fast"
        )

    def _usual_judge(self, discriminator: Discriminator) -> Judge:
        loss = self.config.loss
        if loss == "pixels":
            return pixels
        if loss == "identity":
            return identity_maps(copy.deepcopy(read_identity_network()).to(self.device))
        if loss == "mobilenet-v2":
            raise ValueError("the loss mobilenet-v2 needs a judge: its network is the user's own")
        return FrozenFeatures(discriminator, loss_resolutions(self.base.config.resolution), self.dtype)

    def _seen(self, pictures: Tensor) -> Tensor:
        return grey(pictures) if self.config.color == "photo" else pictures

    def _choose(self) -> Tensor:
        """Which references this step sees: all, or the next `batch` of a random order; each, or its mirror image."""
        batch = self.config.batch
        if batch == 0 or batch >= self.count:
            index = torch.arange(self.count)
        else:
            index = torch.randperm(self.count, generator=self.random)[:batch]
        if self.count == len(self.pictures):
            return index
        return index + self.count * torch.randint(2, (len(index),), generator=self.random)

    def _render(
        self, network: SynthesisNetwork, codes: StyleCodes | Tensor, noise: Noise, detail: Tensor | None = None
    ) -> Tensor:
        return network.render(network.styles(codes) if isinstance(codes, Tensor) else codes, noise, self.dtype, detail)

    def style_distance(self, picture: Tensor, index: Tensor) -> Tensor:
        """Equation 2: how far pictures [N, 3, R, R] are from the chosen references, where these are valid."""
        targets = self.targets if len(index) == len(self.pictures) else [t[index] for t in self.targets]
        found = self.judge(self._seen(self._framed(picture, index)))
        return feature_distance(found, targets, self._weights(index), self._valid(index))

    def _framed(self, picture: Tensor, index: Tensor) -> Tensor:
        """Pictures with the chosen references themselves where these are not valid.

        So features near the border are compared in the same surroundings, and nothing is learned from outside.
        """
        return picture if self.valid is None else torch.lerp(self.pictures[index], picture, self.valid[index])

    def loss(self, index: Tensor) -> Tensor:
        """Equation 2 for the chosen references, and how far the faces are from those that the base makes of the same codes."""
        noise = self.synthesis.noise(self.config.noise, len(index), self.random)
        codes, detail = self.family.codes(index, self.random), self.family.details(index, self.random)
        picture = self._render(self.synthesis, codes, noise, detail)
        loss = self.style_distance(picture, index)
        if self.identity is None and self.region is None:
            return loss
        with torch.no_grad():
            before = self._render(self.base.synthesis, codes, noise, detail)
        if self.identity is not None:
            loss = loss + self.config.identity_weight * identity_loss(self.identity, picture, before, self._weights(index))
        if self.region is not None:
            loss = loss + _LAYOUT_WEIGHT * layout_loss(picture, before, self.region[index], self._weights(index))
        return loss

    def _weights(self, index: Tensor) -> Tensor | None:
        return None if self.weights is None else self.weights[index]

    def _valid(self, index: Tensor) -> Tensor | None:
        return None if self.valid is None else self.valid[index]

    def step(self) -> float:
        """One update; returns the loss before it."""
        loss = self.loss(self._choose())
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        return float(loss.detach())

    def run(self, progress: Progress | None = None, after_step: Callable[[int], None] | None = None) -> list[float]:
        """All steps that are not done yet; returns the losses of all. `after_step` is called with the number of steps done."""
        asked = self.config.steps
        most = LONGEST if asked == "auto" else asked
        while len(self.losses) < most and not (asked == "auto" and enough(self.losses)):
            self.losses.append(self.step())
            if progress is not None:
                progress(len(self.losses), most, self.losses[-1])
            if after_step is not None:
                after_step(len(self.losses))
        return self.losses
