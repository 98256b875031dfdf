"""JoJoGAN: fine-tuning the generator to one picture, or a few."""
