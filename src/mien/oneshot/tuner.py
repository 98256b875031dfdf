"""JoJoGAN: fine-tune a copy of the generator to one image, or a few (Chong & Forsyth, ECCV 2022).

Style mixing makes random codes around the reference's own (equation 1); the copy learns to render every one of them as the
reference (equation 2). Codes are mixed in S by default, as the paper does it; the published code mixes rows of W+.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.faces.expression import expression_region
from mien.faces.head_mask import coarse_head_mask
from mien.latents import StyleCodes, style_layers
from mien.losses.extractors import EXTRACTORS, FeatureMaps
from mien.losses.face import eye_and_mouth_loss, identity_loss
from mien.losses.features import feature_distance, gray
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.generator import Generator, SynthesisNetwork
from mien.oneshot.config import OneShotConfig
from mien.oneshot.other_faces import USUAL_WEIGHT, OtherFaces
from mien.oneshot.references import References
from mien.oneshot.stopping import LONGEST, enough
from mien.oneshot.style_mixing import LatentSource, StyleMixing
from mien.ops import current
from mien.runtime import Progress

_EYE_AND_MOUTH_WEIGHT = 0.2  # of the eye and mouth structure loss beside the style distance, for the gaze of the photo


@dataclass(frozen=True)
class Rendering:
    """One step's images of the tuned generator, and whose they are."""

    index: Tensor
    """[n]: the references that the images are to look like."""
    image: Tensor
    """[n, 3, R, R], with gradients."""
    base: Callable[[], Tensor]
    """Renders the same codes, noise and feature codes by the base model."""

    @cached_property
    def base_image(self) -> Tensor:
        """[n, 3, R, R]: what the base model makes of the same codes; rendered once, and only for terms that ask for it."""
        return self.base()


@dataclass(frozen=True)
class LossTerm:
    """A summand of the loss."""

    name: str
    weight: float
    function: Callable[[Rendering], Tensor]
    """The term's value, a scalar, before it is weighted."""
    every: int = 1
    """Steps from one time that it counts to the next; it weighs so many times as much (as the lazy regularization of Karras et
    al. 2020 does)."""


def total_loss(terms: list[LossTerm], rendering: Rendering, step: int = 0) -> Tensor:
    """The weighted sum of all terms that count in step number `step`, from 0: of the first step, all."""
    first, *others = (term.weight * term.every * term.function(rendering) for term in terms if step % term.every == 0)
    return sum(others, start=first)


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


class OneShotTuner:
    """The loop: owns the tuned copy of the synthesis network; `step` does one update."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, references: References, config: OneShotConfig,
        *, latents: LatentSource | None = None, extractor: FeatureMaps | None = None, identity: Embedder | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        """`latents` draws the random codes; None: those that `StyleMixing` takes by itself.

        `extractor` makes the feature maps that are compared; None: what `config.loss` names. `identity` is the network of the
        identity loss; None: mien's own. `dtype` is that of the convolutions.
        """
        self.base, self.config, self.dtype = generator, config, dtype
        self.synthesis: SynthesisNetwork = copy.deepcopy(generator.synthesis).train()
        self.device = references.w_plus.device
        self.references, self.images = references, references.images.to(self.device)
        self.weights = _relative(references, self.device)
        self.valid = references.valid.to(self.device) if any(references.outside) and references.valid is not None else None
        self.random = torch.Generator().manual_seed(config.seed)
        self.mixing = StyleMixing(generator, references, config, latents)
        self.extractor = extractor or EXTRACTORS[config.loss].build(discriminator, self.device, dtype)
        with torch.no_grad():
            # Constant: computed once, one view after the other for the sake of memory.
            each = [self.extractor(self._seen(view)) for view in torch.split(self.images, references.count)]
            self.targets = [torch.cat(maps) for maps in zip(*each, strict=True)]
        self.identity: Embedder | None = None
        if config.identity_weight:
            self.identity = (identity or copy.deepcopy(read_identity_network())).to(self.device)
        self.terms = self._terms()
        self.losses: list[float] = []
        self.average = RunningAverage(self.synthesis, config.weight_average) if config.weight_average else None
        self.adam = torch.optim.Adam(
            _trained(self.synthesis, config), lr=config.learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=current() == "fast"
        )

    def _terms(self) -> list[LossTerm]:
        """What is minimized; those whose settings are off are not there, and cost nothing."""
        terms = [LossTerm("style", 1.0, lambda r: self.style_distance(r.image, r.index))]
        if (network := self.identity) is not None:

            def identity(r: Rendering) -> Tensor:
                return identity_loss(network, r.image, r.base_image, self._weights(r.index))

            terms.append(LossTerm("identity", self.config.identity_weight, identity))
        if self.config.gaze == "photo":
            region = expression_region(self.images).to(self.device)

            def gaze(r: Rendering) -> Tensor:
                return eye_and_mouth_loss(r.image, r.base_image, region[r.index], self._weights(r.index))

            terms.append(LossTerm("gaze", _EYE_AND_MOUTH_WEIGHT, gaze))
        weight = self.config.distribution_weight
        if weight == "auto":
            weight = USUAL_WEIGHT if self.references.other_faces is not None else 0.0
        if weight:
            others = self._other_faces()
            count, every = self.config.distribution_faces, self.config.distribution_every
            terms.append(LossTerm("distribution", weight, lambda r: others.distance(r.index, count, self.random), every))
        return terms

    def _other_faces(self) -> OtherFaces:
        if self.references.other_faces is None:
            raise ValueError("a distribution loss needs References.other_faces")
        heads = coarse_head_mask(self.images.cpu())
        if self.valid is not None:
            heads = heads * F.adaptive_avg_pool2d(self.valid.cpu(), heads.shape[-1])
        regions = self.config.distribution_regions
        return OtherFaces(self.references.other_faces, self.targets, heads, regions, self._features_of)

    def _features_of(self, w_plus: Tensor) -> Sequence[Tensor]:
        """What the extractor says of the tuned generator's image of codes [1, num_ws, w_dim]."""
        noise = self.synthesis.noise(self.config.noise, len(w_plus), self.random)
        network = self.base.synthesis if self.config.space == "s" else self.synthesis
        return self.extractor(self._seen(self.synthesis.synthesize(network.styles(w_plus), noise, self.dtype)))

    @property
    def result(self) -> SynthesisNetwork:
        """The network as it is to be kept: the running average of the weights, where there is one."""
        return self.synthesis if self.average is None else self.average.network

    def _seen(self, images: Tensor) -> Tensor:
        return gray(images) if self.config.color == "photo" else images

    def _choose(self) -> Tensor:
        """Which references this step sees: all, or the next `batch` of a random order; of each one view."""
        batch, count, views = self.config.batch, self.references.count, self.references.views
        if batch == 0 or batch >= count:
            index = torch.arange(count)
        else:
            index = torch.randperm(count, generator=self.random)[:batch]
        if views == 1:
            return index
        return index + count * torch.randint(views, (len(index),), generator=self.random)

    def style_distance(self, image: Tensor, index: Tensor) -> Tensor:
        """Equation 2: how far images [n, 3, R, R] are from the chosen references, where these are valid."""
        targets = self.targets if len(index) == len(self.images) else [t[index] for t in self.targets]
        found = self.extractor(self._seen(self._framed(image, index)))
        return feature_distance(found, targets, self._weights(index), self._valid(index))

    def _framed(self, image: Tensor, index: Tensor) -> Tensor:
        """Images with the chosen references themselves where these are not valid.

        So features near the border are compared in the same surroundings, and nothing is learned from outside.
        """
        return image if self.valid is None else torch.lerp(self.images[index], image, self.valid[index])

    def render_random_codes(self, index: Tensor) -> Rendering:
        """New random codes around the chosen references, drawn by the tuned generator."""
        noise = self.synthesis.noise(self.config.noise, len(index), self.random)
        codes, feature_codes = self.mixing.mixed_codes(index, self.random), self.mixing.feature_codes(index, self.random)

        def draw(network: SynthesisNetwork) -> Tensor:
            styles = codes if isinstance(codes, StyleCodes) else network.styles(codes)
            return network.synthesize(styles, noise, self.dtype, feature_codes)

        return Rendering(index, draw(self.synthesis), torch.no_grad()(lambda: draw(self.base.synthesis)))

    def _weights(self, index: Tensor) -> Tensor | None:
        return None if self.weights is None else self.weights[index]

    def _valid(self, index: Tensor) -> Tensor | None:
        return None if self.valid is None else self.valid[index]

    def loss(self, index: Tensor) -> Tensor:
        """All terms for new random codes around the chosen references."""
        return total_loss(self.terms, self.render_random_codes(index), step=len(self.losses))

    def step(self) -> float:
        """One update; returns the loss before it."""
        loss = self.loss(self._choose())
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        if self.average is not None:
            self.average.update(self.synthesis)
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


def _relative(references: References, device: torch.device) -> Tensor | None:
    """The weights of all images with mean 1; None where they are the same."""
    weights = torch.tensor(references.weights * references.views, device=device)
    return None if len(set(references.weights)) < 2 else weights / weights.mean()


def _trained(synthesis: SynthesisNetwork, config: OneShotConfig) -> list[Tensor]:
    """The parameters that are learned; the others are frozen."""
    synthesis.requires_grad_(True)
    if config.space == "s":
        for layer in style_layers(synthesis.config.resolution):  # S codes come from the base: affine layers stay
            synthesis.layer(layer.name).affine.requires_grad_(False)
    for name, parameter in synthesis.named_parameters():
        if name.endswith("noise_strength") and not bool(parameter.any()) and config.noise_strengths == "nonzero":
            parameter.requires_grad_(False)  # a model trained without noise stays without: it would only make speckle
    return [p for p in synthesis.parameters() if p.requires_grad]
