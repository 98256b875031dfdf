"""Training StyleGAN2: adversarial training in a run folder, from scratch or from a model."""
