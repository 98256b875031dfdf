"""Adaptive discriminator augmentation (ADA)."""

from mien.finetune.augment.pipeline import LETTERS, AdaptiveAugment

__all__ = ["LETTERS", "AdaptiveAugment"]
