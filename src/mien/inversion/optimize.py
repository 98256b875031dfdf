"""Inversion by optimisation in W+: a few steps of Adam from the encoder's answer (or the mean code), held near it.

The objective compares pictures at four scales and, where the model has one, in the discriminator's features. A quadratic pull
towards the start keeps the code where the generator can be edited: what the encoder says of a drawing stays a face.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.optim.adam import adam

from mien.inversion.encode import resize
from mien.losses.features import FrozenFeatures, feature_distance, loss_resolutions, multiscale_l1
from mien.models.bundle import Model

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class RefineConfig:
    """Numbers of the optimisation."""

    steps: Annotated[int, "optimisation steps; 0: the start is the answer"] = 100
    learning_rate: Annotated[float, "Adam's rate at the start; it falls to zero along a cosine"] = 0.03
    prior: Annotated[float, "pull towards the start, in units of the spread of mapped codes"] = 0.02
    pixels: Annotated[float, "weight of the L1 distance of pictures at four scales"] = 1.0
    features: Annotated[float, "weight of the L1 distance of discriminator features"] = 0.5


def refine(
    model: Model, pictures: Tensor, start: Tensor, config: RefineConfig | None = None, progress: Progress | None = None
) -> Tensor:
    """Improve W+ codes `start` [N, num_ws, w_dim] so that they render `pictures` [N, 3, S, S]; deterministic (stored noise)."""
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
    code = start.detach().clone().requires_grad_(True)
    moments, squares, count = torch.zeros_like(code), torch.zeros_like(code), torch.zeros([])
    for step in range(config.steps):
        picture = generator(code, noise)
        loss = config.pixels * multiscale_l1(picture, target, scales=4)
        if judge is not None:
            loss = loss + config.features * feature_distance(judge(picture), wanted)
        loss = loss + config.prior * (code - start).square().mean()
        # One sum, not one mean: every picture of a batch gets the gradient it would get alone.
        (gradient,) = torch.autograd.grad(loss * len(pictures), code)
        rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.steps))
        with torch.no_grad():  # the class would load torch's compiler first, which takes longer than a short refinement
            adam(
                [code], [gradient], [moments], [squares], [], [count], foreach=False, capturable=False, differentiable=False,
                fused=False, amsgrad=False, beta1=0.9, beta2=0.99, lr=rate, weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip
        if progress is not None:
            progress(step + 1, config.steps, float(loss.detach()))
    return code.detach()
