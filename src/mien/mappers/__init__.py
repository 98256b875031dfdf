"""Mappers: from the crop of a face to the drawn face and what of it to paste, fast enough for video."""

from mien.mappers.generator_mapper import GeneratorMapper
from mien.mappers.interface import Mapped, Mapper

__all__ = ["GeneratorMapper", "Mapped", "Mapper"]
