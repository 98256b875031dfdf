"""Inversion by optimization in F/W+, W+ or W: a few steps of Adam from the encoder's answer (or the mean code), held near it.

The objective compares pictures at four scales and, where the model has one, in the discriminator's features. A quadratic pull
towards the start keeps the code where the generator can be edited: the encoder's answer to a drawing stays a face. What W+
cannot express goes into a coarse feature code (Kang et al. 2021), which every style redraws with the rest. Instead of the
start, or beside it, the density of the model's codes can hold the code (II2S, Zhu et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.adam import adam

from mien.errors import InputError
from mien.inversion.config import RefineConfig
from mien.inversion.density import CodeDensity, mapped_codes
from mien.latents import Codes
from mien.losses.features import FrozenFeatures, feature_distance, loss_resolutions, multiscale_l1
from mien.models.model import Model
from mien.ops import resize

Progress = Callable[[int, int, float], None]

_MAPPED = 4000  # codes that the density is fitted to


def refine(
    model: Model, pictures: Tensor, start: Codes, config: RefineConfig | None = None, progress: Progress | None = None
) -> Codes:
    """Improve `start` so that it renders `pictures` [N, 3, S, S]; deterministic (stored noise)."""
    config = config or RefineConfig()
    if config.steps == 0:
        return start
    target = resize(pictures, model.resolution)
    generator = model.generator
    noise = generator.synthesis.noise("const")
    judge = None
    if config.features and model.discriminator is not None:
        judge = FrozenFeatures(model.discriminator, loss_resolutions(model.resolution))
        with torch.no_grad():
            wanted = judge(target)
    first = start.w_plus if config.space == "w+" else start.w_plus.mean(dim=1, keepdim=True)
    density = CodeDensity.of(mapped_codes(generator, _MAPPED)) if config.density else None
    begun = [first] + ([_detail(model, start, config)] if config.detail_resolution else [])
    found = [b.detach().clone().requires_grad_(True) for b in begun]
    rates, pulls = (config.learning_rate, config.detail_learning_rate), (config.prior, config.detail_prior)
    states = [(torch.zeros_like(f), torch.zeros_like(f), torch.zeros([])) for f in found]
    for step in range(config.steps):
        code = found[0].expand_as(start.w_plus)
        picture = generator(code, noise, detail=found[1] if len(found) > 1 else None)
        loss = config.pixels * multiscale_l1(picture, target, scales=4)
        if judge is not None:
            loss = loss + config.features * feature_distance(judge(picture), wanted)
        for value, origin, pull in zip(found, begun, pulls, strict=False):
            loss = loss + pull * (value - origin).square().mean()
        if density is not None:
            loss = loss + config.density * density.out(code).mean()
        # One sum, not one mean: every picture of a batch gets the gradient it would get alone.
        gradients = torch.autograd.grad(loss * len(pictures), found)
        fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
        with torch.no_grad():  # the class would load torch's compiler first, which takes longer than a short refinement
            for value, gradient, (mean, square, count), rate in zip(found, gradients, states, rates, strict=False):
                adam(
                    [value], [gradient], [mean], [square], [], [count], foreach=False, capturable=False, differentiable=False,
                    fused=False, amsgrad=False, beta1=0.9, beta2=0.99, lr=rate * fall, weight_decay=0.0, eps=1e-8,
                    maximize=False,
                )  # fmt: skip
        if progress is not None:
            progress(step + 1, config.steps, float(loss.detach()))
    w_plus = found[0].detach().expand_as(start.w_plus).contiguous()
    return Codes(w_plus, found[1].detach() if len(found) > 1 else start.detail)


def _detail(model: Model, start: Codes, config: RefineConfig) -> Tensor:
    """The feature code that the optimization starts at: the start's own, or zeros."""
    if start.detail is not None:
        return start.detail
    r = min(config.detail_resolution, model.resolution)
    if r < 4 or r & (r - 1):
        raise InputError(f"The feature code has {config.detail_resolution} px: choose 0, or a power of two from 4.")
    return start.w_plus.new_zeros(len(start.w_plus), model.generator.config.channels(r), r, r)
