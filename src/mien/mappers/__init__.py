"""Mappers: from the crop of a face to the drawn face and what of it to paste, fast enough for video."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.mappers.engines import GraphMapper as GraphMapper
    from mien.mappers.engines import open_mapper as open_mapper
    from mien.mappers.generator_mapper import GeneratorMapper as GeneratorMapper
    from mien.mappers.interface import Mapped as Mapped
    from mien.mappers.interface import Mapper as Mapper
    from mien.mappers.interface import Seen as Seen

__all__ = ["GeneratorMapper", "GraphMapper", "Mapped", "Mapper", "Seen", "open_mapper"]
__getattr__ = names_from(
    __name__,
    {
        "engines": "GraphMapper open_mapper",
        "generator_mapper": "GeneratorMapper",
        "interface": "Mapped Mapper Seen",
    },
)
