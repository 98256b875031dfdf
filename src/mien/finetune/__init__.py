"""Training loops: one-shot fine-tuning, adversarial training, and what they share."""
