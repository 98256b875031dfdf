"""Measuring models: distances between sets of images, measuring networks that the user brings, and the report on a model."""
