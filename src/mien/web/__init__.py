"""The web page and the REST calls of `mien.serve`: uploads, queues, and the styles that visitors keep."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.web.config import ServeConfig as ServeConfig

__all__ = ["ServeConfig"]
__getattr__ = names_from(
    __name__,
    {
        "config": "ServeConfig",
    },
)
