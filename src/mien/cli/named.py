"""Values that are given as NAME=PATH."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.errors import InputError


def named(texts: Sequence[str] | None, flag: str) -> dict[str, list[Path]]:
    """{name: paths} of texts such as `ours=results`, in their order; a name may come again."""
    found: dict[str, list[Path]] = {}
    for text in texts or []:
        name, sign, path = text.partition("=")
        if not (name.strip() and sign and path.strip()):
            raise InputError(f"{flag} takes NAME=PATH, got '{text}'.")
        found.setdefault(name.strip(), []).append(Path(path.strip()))
    return found


def folders(texts: Sequence[str] | None, flag: str) -> dict[str, Path]:
    """{name: folder} of texts such as `ours=results`; a text without a name is called as its folder."""
    given = [text if "=" in text else f"{Path(text).resolve().name}={text}" for text in texts or []]
    for name, paths in (found := named(given, flag)).items():
        if len(paths) > 1:
            raise InputError(f"{flag}: {paths[0]} and {paths[1]} are both called '{name}': give one another NAME=.")
    return {name: paths[0] for name, paths in found.items()}


def distinct(paths: Sequence[Path]) -> dict[str, Path]:
    """{stem: path}; raises `InputError` where two share a stem."""
    found: dict[str, Path] = {}
    for path in paths:
        if found.setdefault(path.stem, path) is not path:
            raise InputError(f"{found[path.stem]} and {path} are both called '{path.stem}': rename one of them.")
    return found
