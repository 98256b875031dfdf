"""Adaptive discriminator augmentation (ADA)."""

from mien.training.augment.adaptive import LETTERS, AdaptiveAugment

__all__ = ["LETTERS", "AdaptiveAugment"]
