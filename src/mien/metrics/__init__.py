"""Measuring models: distances between sets of pictures, measuring networks that the user brings, and the report on a model."""
