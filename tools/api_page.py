"""Write docs/reference/api.md from the docstrings of the public names.

python tools/api_page.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import mien

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "api.md"
_OPENING = """# Python API

Written by `tools/api_page.py` from the docstrings: change them there. Everything is typed, and nothing is imported before it is
used. An image is a PIL image, an array, a tensor, bytes, an open file or a path (see `ImageLike`); PIL images come out.
Errors that a user can act upon are `MienError`: one sentence that says what, why and what to do.
"""
_EXPERT = """# Subpackages

For those who need more than the names above: settings of single parts, measurements, and the pieces that the rest is made of.
`import mien` is enough to use them.
"""
SECTIONS: dict[str, tuple[str, ...]] = {
    "In one call": ("stylize", "stylize_video", "apply_folder", "style_sheet", "sample", "invert", "align_faces"),
    "A model that stays loaded": ("Stylizer", "Style", "Result", "Stream", "list_styles", "list_models"),
    "Settings": ("RenderConfig", "OneShotConfig", "AlignConfig", "TrainConfig"),
    "Models, data and measurements": (
        "train", "prepare_dataset", "swap_layers", "evaluate", "load_model", "save_model", "download_model", "inspect_file",
    ),
    "For other programs and browsers": ("export", "serve"),
    "Images, errors and warnings": ("ImageLike", "MienError", "MienWarning"),
}  # fmt: skip
_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>>|\n).*\n?)*)+", re.MULTILINE)


def page() -> str:
    """The whole page."""
    parts = [_OPENING]
    for title, names in SECTIONS.items():
        parts += [f"## {title}\n", *(_entry(mien, name) for name in names)]
    parts.append(_EXPERT)
    for package in mien._PACKAGES:
        home = getattr(mien, package)
        summary = (inspect.getdoc(home) or "").split("\n\n")[0]
        parts += [f"## mien.{package}\n\n{summary}\n", *(_entry(home, name) for name in home.__all__)]
    return "\n".join(parts)


def _entry(home: ModuleType, name: str) -> str:
    value = getattr(home, name)
    if name == "ImageLike":
        from mien.media.image_input import TAKEN

        return f"### mien.ImageLike\n\n{TAKEN}\n"
    full = f"{home.__name__}.{name}"
    head = f"### {full}\n"
    if inspect.isclass(value):
        return "\n".join([head, _text(value), *_fields(value), *_methods(name, value)])
    return "\n".join([head, _signature(full, value), _text(value)])


def _signature(name: str, function: Any) -> str:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    written, starred = [], False
    for p in parameters:
        if p.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            written.append("*")
            starred = True
        starred = starred or p.kind is inspect.Parameter.VAR_POSITIONAL
        default = "" if p.default is inspect.Parameter.empty else f" = {_shown(p.default)}"
        star = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(p.kind, "")
        written.append(f"{star}{p.name}: {p.annotation}{default}" if p.annotation is not inspect.Parameter.empty else p.name)
    result = inspect.signature(function).return_annotation
    lines = ",\n    ".join(written)
    return f"```text\n{name}(\n    {lines}\n) -> {result}\n```\n" if written else f"```text\n{name}() -> {result}\n```\n"


def _shown(default: object) -> str:
    # A function among the defaults would show where it lies in memory.
    return f"{type(default).__name__}()" if " at 0x" in repr(default) else repr(default)


def _text(value: Any) -> str:
    """The docstring, its examples as code that runs."""

    def code(match: re.Match[str]) -> str:
        lines = match[0].rstrip().splitlines()
        body = [line[4:] if line.startswith((">>> ", "... ")) else f"# {line}" for line in lines]
        return "```python\nimport mien\n\n" + "\n".join(body) + "\n```\n"

    return _EXAMPLE.sub(code, (inspect.getdoc(value) or "").rstrip() + "\n")


def _fields(config: type) -> list[str]:
    if not dataclasses.is_dataclass(config):
        return []
    hints = get_type_hints(config, include_extras=True)
    told = _attribute_docstrings(config)
    rows = []
    for field in dataclasses.fields(config):
        sentence = next((text for text in get_args(hints[field.name])[1:] if isinstance(text, str)), told.get(field.name, ""))
        made = field.default_factory
        default = made() if made is not dataclasses.MISSING else field.default
        shown = "needed" if default is dataclasses.MISSING else f"`{_shown(default)}`".replace("|", "\\|")
        rows.append(f"| `{field.name}` | {shown} | {' '.join(sentence.split())} |")
    return ["| field | default | |\n|---|---|---|", *rows, ""]


def _attribute_docstrings(config: type) -> dict[str, str]:
    import ast
    import textwrap

    found: dict[str, str] = {}
    for base in reversed(config.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, after in pairwise(body):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and is_text:
                found[ast.unparse(field.target)] = str(ast.literal_eval(after.value))  # type: ignore[attr-defined]
    return found


def _methods(name: str, value: type) -> list[str]:
    parts = []
    for method, member in inspect.getmembers(value):
        own = any(method in vars(base) for base in value.__mro__[:-1] if base.__module__.startswith("mien"))
        if method.startswith("_") or not own or method == "from_pretrained":
            continue
        if inspect.isfunction(member) or inspect.ismethod(member):
            parts += [f"#### {name}.{method}\n", _signature(f"{name}.{method}", member), _text(member)]
        elif isinstance(inspect.getattr_static(value, method), property):
            parts += [f"#### {name}.{method}\n", _text(member)]
    return parts


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
