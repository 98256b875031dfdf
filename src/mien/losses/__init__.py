"""Objective functions: what training and fine-tuning minimize."""
