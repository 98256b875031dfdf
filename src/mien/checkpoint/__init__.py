"""Weights in and out: the only package that reads or writes them. Files from strangers are parsed, never executed."""

from mien.checkpoint.encoders import LoadedEncoder
from mien.checkpoint.load import load_encoder, load_identity, load_model

__all__ = ["LoadedEncoder", "load_encoder", "load_identity", "load_model"]
