"""Values of options: from the text that a user writes to what a setting takes, and how that is named in a help."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mien.errors import InputError

Parse = Callable[[str], Any]
_PLAIN = {"w_plus": "w+"}  # how a choice may be written, beside its name with - or _, and capital letters


def parser(hint: Any, special: Mapping[type, Parse] | None = None) -> Parse:
    """What reads the text of an option for a setting annotated with `hint`; it raises `InputError`.

    `special` reads classes that have a text form of their own. Dataclasses without one are left out of unions.
    """
    kinds = [kind for kind in _kinds(hint) if not dataclasses.is_dataclass(kind) or kind in (special or {})]

    def read(text: str) -> Any:
        problems = []
        for kind in kinds:
            try:
                return (special or {})[kind](text) if kind in (special or {}) else _read(kind, text)
            except InputError as error:
                problems.append(error)
            except ValueError:
                continue
        raise problems[-1] if problems else InputError(f"takes {form(hint)}, got '{text}'")

    return read


def form(hint: Any) -> str:
    """The values of a setting in a word or two, for people: `reference or photo`, `a whole number or auto`."""
    words = [_form(kind) for kind in _kinds(hint) if not dataclasses.is_dataclass(kind)]
    return " or ".join(", ".join(words).rsplit(", ", 1))


def metavar(hint: Any) -> str:
    """The short form of that, in a table of options."""
    names = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
    found: list[str] = []
    for kind in _kinds(hint):
        if get_origin(kind) is Literal:
            options = "|".join(map(str, get_args(kind)))
            found.append(options if len(options) <= 18 else "NAME")
        elif get_origin(kind) is tuple:
            inner = get_args(kind)
            name = "NAME" if inner[0] is str else names.get(inner[0], "NAME")
            found.append(f"{name},..." if Ellipsis in inner else ",".join([name] * len(inner)))
        elif get_origin(kind) is list:
            found.append(metavar(get_args(kind)[0]))
        elif get_origin(kind) is not None:
            found.append("NAME=X,...")
        elif not dataclasses.is_dataclass(kind):
            found.append(names.get(kind, "TEXT"))
    return "|".join(found)


def choices(hint: Any) -> tuple[str, ...]:
    """The names that a setting can be set to."""
    return tuple(str(o) for kind in _kinds(hint) if get_origin(kind) is Literal for o in get_args(kind))


def written(value: Any) -> str:
    """A value as a user would write it."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={number:g}" for name, number in value.items())
    if isinstance(value, tuple):
        return ",".join(written(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kinds(hint: Any) -> list[Any]:
    """The members of a union without None; names before numbers before texts, which take everything."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    members = list(get_args(hint)) if get_origin(hint) in (Union, types.UnionType) else [hint]
    order = [Literal, int, float, tuple, Path, str]
    rank = {kind: order.index(k) for kind in members for k in order if k in (kind, get_origin(kind))}
    return sorted((m for m in members if m is not type(None)), key=lambda m: rank.get(m, order.index(tuple)))


def _read(kind: Any, text: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _choice(inner, text)
    if origin is tuple:
        words = re.split(r"[,;\s]+", text.strip()) if text.strip() else []
        kinds = inner[:1] * len(words) if Ellipsis in inner else inner
        return tuple(_read(k, word) for k, word in zip(kinds, words, strict=True))
    if origin is not None:
        return _mapping(text)
    if kind is float and text.strip().lower() in ("nan", "inf", "-inf", "infinity", "-infinity"):
        raise ValueError(text)
    return Path(text).expanduser() if kind is Path else kind(text)


def _choice(options: tuple[Any, ...], text: str) -> Any:
    plain = text.strip().lower().replace("-", "_")
    for option in options:
        name = str(option).lower().replace("-", "_")
        if plain in (name, _PLAIN.get(name)):
            return option
    raise ValueError(text)


def _mapping(text: str) -> dict[str, float]:
    """`eyes,mouth=0.5` as {"eyes": 1.0, "mouth": 0.5}: a name without a number has 1."""
    found: dict[str, float] = {}
    for word in text.split(","):
        name, number = word.rsplit("=", 1) if "=" in word else (word, "1")
        if not name.strip() or name.strip() in found:
            raise ValueError(text)
        found[name.strip()] = _read(float, number)
    return found


def _form(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        return f"{_form(inner[0])}s with commas between" if Ellipsis in inner else f"{len(inner)} numbers with commas between"
    if get_origin(kind) is not None:
        return "names, each with a number if you like, such as a,b=0.5"
    return {int: "a whole number", float: "a number", Path: "a path"}.get(kind, "a text")
