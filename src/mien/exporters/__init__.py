"""Styles as files that other programs and browsers run."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.exporters.export_style import Exported as Exported
    from mien.exporters.static_page import export_web as export_web

__all__ = ["Exported", "export_web"]
__getattr__ = names_from(
    __name__,
    {
        "export_style": "Exported",
        "static_page": "export_web",
    },
)
