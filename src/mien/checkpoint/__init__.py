"""Weights in and out: the only package that reads or writes them. Files of unknown origin are parsed, never executed."""

from mien.checkpoint.convert import Conversion, convert, save_model
from mien.checkpoint.file_info import FileInfo, inspect_file
from mien.checkpoint.foreign.encoders import LoadedEncoder
from mien.checkpoint.load import load_encoder, load_identity, load_model

__all__ = [
    "Conversion",
    "FileInfo",
    "LoadedEncoder",
    "convert",
    "inspect_file",
    "load_encoder",
    "load_identity",
    "load_model",
    "save_model",
]
