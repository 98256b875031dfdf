"""Objectives of adversarial training (Goodfellow et al. 2014; Mescheder et al. 2018; Karras et al. 2020)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating logistic loss: mean of -log(sigmoid(logit)) of generated images."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic loss of the discriminator."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, reals: Tensor) -> Tensor:
    """Mean squared gradient norm of the logits at real images (R1); multiply by gamma / 2."""
    (gradient,) = torch.autograd.grad(real_logits.sum(), reals, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(images: Tensor, w_plus: Tensor, generator: torch.Generator) -> Tensor:
    """Jacobian-vector norms [N] of the images with respect to W+ (path length regularization).

    The random direction is drawn from `generator` and scaled so that the length does not depend on the resolution.
    """
    direction = torch.randn(images.shape, generator=generator, device=generator.device).to(images.device)
    direction = direction / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * direction).sum(), w_plus, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
