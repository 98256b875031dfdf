"""mien: make anybody's face look like one picture.

    import mien
    stylizer = mien.Stylizer.load()
    style = stylizer.fit(["ink.png"])
    stylizer.apply(style, "me.jpg").picture

Names are imported when they are first used, so that `import mien` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mien.checkpoint.bundle import write_model as save_model

# Public name -> (module, name there).
_PUBLIC = {
    "save_model": ("mien.checkpoint.bundle", "write_model"),
}

__all__ = ["__version__", "save_model"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
