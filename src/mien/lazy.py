"""Packages whose names are imported when they are first used: their settings can be read without waiting for torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any


def names_from(
    package: str, modules: Mapping[str, str], *, packages: Sequence[str] = (), hint: Callable[[str], str] = lambda name: ""
) -> Callable[[str], Any]:
    """A `__getattr__` for `package`, whose public names are found in its modules: {module: "Name other_name"}.

    A name may not be that of a module of the package: once that is imported, Python takes it instead. `packages` are those
    inside it that need no import of their own. `hint` goes on in the error for a name that is not there.
    """
    found = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name in found:
            return getattr(import_module(f"{package}.{found[name]}"), name)
        if name in packages:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}{hint(name)}")

    return load


def place_of_name(
    name: str, package: str, names: Sequence[str], packages: Sequence[str], also_called: Mapping[str, str]
) -> str:
    """Where a name is that `package` has not: in one of its `packages`, or under another name; else where to begin.

    `also_called` are {what others call it: what it is called here}.
    """
    if name.startswith("__"):  # what Python and its tools look for
        return ""
    homes = {each: f"{package}.{home}.{each}" for home in packages for each in import_module(f"{package}.{home}").__all__}
    if name in homes:
        return f": it is {homes[name]}"
    if name in also_called:
        return f": it is called {also_called[name]}"
    known = {**homes, **{each: f"{package}.{each}" for each in names}}
    close = get_close_matches(name, known, 1, cutoff=0.7)
    if close:
        return f": did you mean {known[close[0]]}?"
    return f": begin with {package}.stylize(photo, reference) or {package}.Stylizer.load(); dir({package}) has the names"
