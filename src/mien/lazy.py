"""Packages whose names are imported when they are first used: their settings can be read without waiting for torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_from(package: str, modules: Mapping[str, str], hint: str = "") -> Callable[[str], Any]:
    """A `__getattr__` for `package`, whose public names are found in its modules: {module: "Name other_name"}.

    A name may not be that of a module of the package: once that is imported, Python takes it instead. `hint` goes on in the
    error for a name that is not there.
    """
    found = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in found:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        return getattr(import_module(f"{package}.{found[name]}"), name)

    return load
