"""Weights in and out: the only package that reads or writes them. Files of unknown origin are parsed, never executed."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.checkpoint.conversion import Conversion as Conversion
    from mien.checkpoint.conversion import convert as convert
    from mien.checkpoint.conversion import save_model as save_model
    from mien.checkpoint.file_info import FileInfo as FileInfo
    from mien.checkpoint.file_info import inspect_file as inspect_file
    from mien.checkpoint.foreign.encoders import LoadedEncoder as LoadedEncoder
    from mien.checkpoint.load import load_encoder as load_encoder
    from mien.checkpoint.load import load_identity as load_identity
    from mien.checkpoint.load import load_model as load_model

__all__ = ["Conversion", "FileInfo", "convert", "load_encoder", "load_identity"]
__getattr__ = names_from(
    __name__,
    {
        "conversion": "Conversion convert save_model",
        "file_info": "FileInfo inspect_file",
        "foreign.encoders": "LoadedEncoder",
        "load": "load_encoder load_identity load_model",
    },
)
