"""JoJoGAN: fine-tuning the generator to one image, or a few."""
