"""Adaptive discriminator augmentation (ADA)."""

from mien.training.augment.adaptive import AdaptiveAugment

__all__ = ["AdaptiveAugment"]
