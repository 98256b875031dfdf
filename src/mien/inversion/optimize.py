"""Inversion by optimization in F/W+, W+ or W: a few steps of Adam from the encoder's code (or the mean code), held near it.

The objective compares images at four scales and, where the model has one, in the discriminator's features. A quadratic pull
towards the start keeps the code where the generator can be edited: the encoder's code to a drawing stays a face. What W+
cannot express goes into a coarse feature code (Kang et al. 2021), which every style redraws with the rest. Instead of the
start, or beside it, the density of the model's codes can hold the code (II2S, Zhu et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.adam import adam

from mien.checkpoint.face_networks import read_identity_network
from mien.errors import InputError
from mien.faces.feature_strength import eyes
from mien.inversion.config import RefineConfig
from mien.inversion.density import CodeDensity, mapped_codes
from mien.latents import Codes
from mien.losses.features import FrozenFeatures, feature_distance, loss_resolutions, multiscale_l1
from mien.models.generator import SynthesisNetwork
from mien.models.model import Model
from mien.ops import resize

Progress = Callable[[int, int, float], None]

_MAPPED = 4000  # codes that the density is fitted to


def refine(
    model: Model, images: Tensor, start: Codes, config: RefineConfig | None = None, progress: Progress | None = None,
    *, dtype: torch.dtype = torch.float32,
) -> Codes:  # fmt: skip
    """Improve `start` so that it renders `images` [N, 3, S, S]; deterministic (stored noise).

    `dtype` is that of the generator's convolutions.
    """
    config = config or RefineConfig()
    if config.steps == 0:
        return start
    draw, distance = _renderer(model, start, config, dtype), InversionLoss(model, resize(images, model.resolution), config)
    density = CodeDensity.of(mapped_codes(model.generator, _MAPPED)) if config.density else None
    begun = [start.w_plus.mean(dim=1, keepdim=True) if config.space == "w" else start.w_plus]
    rates, pulls = [config.learning_rate], [config.prior]
    if config.space == "f" or config.feature_code_resolution:
        begun.append(_feature_code(model, start, config))
        rates.append(config.feature_code_learning_rate)
        pulls.append(config.feature_code_prior)
    held = config.hold_eyes * eyes(begun[1].shape[-1]).to(begun[1]) if config.hold_eyes and len(begun) > 1 else None

    def feature_code(moved: Tensor) -> Tensor:
        return moved if held is None else torch.lerp(moved, begun[1], held)

    fixed = 1 if config.space == "f" else 0  # how many of these stay as they are
    found = [b.detach().clone().requires_grad_(k >= fixed) for k, b in enumerate(begun)]
    states = [(torch.zeros_like(f), torch.zeros_like(f), torch.zeros([])) for f in found]
    moving = list(zip(found, begun, pulls, rates, states, strict=True))[fixed:]
    for step in range(config.steps):
        code = found[0].expand_as(start.w_plus)
        loss = distance(draw(Codes(code, feature_code(found[1]) if len(found) > 1 else None)))
        for value, origin, pull, _, _ in moving:
            loss = loss + pull * (value - origin).square().mean()
        if density is not None:
            loss = loss + config.density * density.out(code).mean()
        # One sum, not one mean: every image of a batch gets the gradient it would get alone.
        gradients = torch.autograd.grad(loss * len(images), found[fixed:])
        fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
        with torch.no_grad():  # the class would load torch's compiler first, which takes longer than a short refinement
            for (value, _, _, rate, (mean, square, count)), gradient in zip(moving, gradients, strict=True):
                adam(
                    [value], [gradient], [mean], [square], [], [count], foreach=False, capturable=False, differentiable=False,
                    fused=False, amsgrad=False, beta1=0.9, beta2=0.99, lr=rate * fall, weight_decay=0.0, eps=1e-8,
                    maximize=False,
                )  # fmt: skip
        if progress is not None:
            progress(step + 1, config.steps, float(loss.detach()))
    w_plus = found[0].detach().expand_as(start.w_plus).contiguous()
    return Codes(w_plus, feature_code(found[1].detach()) if len(found) > 1 else start.feature_code)


class InversionLoss:
    """How far renderings are from images: at four scales, in the discriminator's features, in the identity network's."""

    def __init__(self, model: Model, target: Tensor, config: RefineConfig) -> None:
        """`target` [N, 3, R, R] are the images, at the model's resolution."""
        self.target, self.config = target, config
        self.extractors: list[tuple[float, Callable[[Tensor], list[Tensor]], list[Tensor]]] = []
        extractors: list[tuple[float, Callable[[Tensor], list[Tensor]]]] = []
        if config.features and model.discriminator is not None:
            extractors.append((config.features, FrozenFeatures(model.discriminator, loss_resolutions(model.resolution))))
        if config.identity:
            extractors.append((config.identity, read_identity_network().to(target.device).maps))
        with torch.no_grad():
            self.extractors = [(weight, extractor, extractor(target)) for weight, extractor in extractors]

    def __call__(self, images: Tensor) -> Tensor:
        loss = self.config.pixels * multiscale_l1(images, self.target, scales=4)
        for weight, extractor, goal in self.extractors:
            loss = loss + weight * feature_distance(extractor(images), goal)
        return loss


class AboveFeatureCode:
    """The fast path of F space: the generator with W+ codes that stay, drawn only from the feature code's size up.

    The same images as `Generator`, a fraction of the work, and a gradient for the feature code alone.
    """

    @torch.no_grad()
    def __init__(self, synthesis: SynthesisNetwork, w_plus: Tensor, size: int, dtype: torch.dtype) -> None:
        """`w_plus` [N, num_ws, w_dim]; `size` is the side of the feature code in pixels."""
        self.styles, blocks = synthesis.styles(w_plus), synthesis.blocks(synthesis.noise("const"))
        self.x, self.img = synthesis.block(4).start(len(w_plus), dtype), None
        for block, noise in [b for b in blocks if b[0].resolution < size]:
            self.x, self.img = block(self.x, self.img, self.styles, noise)
        self.block, noise = next(b for b in blocks if b[0].resolution == size)
        self.x = self.block.features(self.x, self.styles, noise)
        self.above = [b for b in blocks if b[0].resolution > size]

    def __call__(self, codes: Codes) -> Tensor:
        """Images [N, 3, R, R] for the feature codes."""
        assert codes.feature_code is not None
        x = self.x + codes.feature_code.to(self.x.dtype)
        img = self.block.rgb(x, self.img, self.styles)
        for block, noise in self.above:
            x, img = block(x, img, self.styles, noise)
        return img


def _renderer(model: Model, start: Codes, config: RefineConfig, dtype: torch.dtype) -> Callable[[Codes], Tensor]:
    if config.space == "f":
        return AboveFeatureCode(model.generator.synthesis, start.w_plus, _feature_code_size(model, start, config), dtype)
    noise = model.generator.synthesis.noise("const")
    return lambda codes: model.generator(codes.w_plus, noise, dtype, codes.feature_code)


def _feature_code(model: Model, start: Codes, config: RefineConfig) -> Tensor:
    """The feature code that the optimization starts at: the start's own, or zeros."""
    if start.feature_code is not None:
        return start.feature_code
    r = _feature_code_size(model, start, config)
    return start.w_plus.new_zeros(len(start.w_plus), model.generator.config.channels(r), r, r)


def _feature_code_size(model: Model, start: Codes, config: RefineConfig) -> int:
    if start.feature_code is not None:
        return start.feature_code.shape[-1]
    r = min(config.feature_code_resolution, model.resolution)
    if r < 4 or r & (r - 1):
        raise InputError(f"The feature code has {config.feature_code_resolution} px: choose 0, or a power of two from 4.")
    return r
