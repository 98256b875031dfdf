"""Write docs/reference/cli.md from the command line itself, so that page and `--help-all` say the same.

python tools/commands_page.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from mien.cli.app import VERBS, build
from mien.cli.help import GENERAL, names

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
_OPENING = """# Commands

Written by `tools/commands_page.py` from the program's own help: change it there. `mien COMMAND --help` shows the common
options, `mien COMMAND --help-all` all of them.
"""


def page() -> str:
    """The whole page."""
    commands: dict[str, Any] = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    return "\n".join([_OPENING, *(_verb(name, commands[name]) for name in VERBS)])


def _verb(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    panels: dict[str, list[Any]] = {"": arguments}
    for option in options:
        panels.setdefault(option.rich_help_panel or "Options", []).append(option)
    panels[GENERAL] = panels.pop(GENERAL, [])
    lines = [f"## mien {name}\n", command.help, "\n| | default | |\n|---|---|---|"]
    for heading, parameters in panels.items():
        lines += [f"| **{heading}** | | |"] if heading and parameters else []
        lines += [f"| `{names(p).replace('|', '&#124;')}` | {_default(p)} | {_help(p)} |" for p in parameters]
    return "\n".join([*lines, "\nExamples:\n\n```text", *import_module(f"mien.cli.verbs.{name}").EXAMPLES, "```\n"])


def _help(parameter: Any) -> str:
    return (parameter.help or "").replace("|", "\\|")


def _default(option: Any) -> str:
    if isinstance(getattr(option, "show_default", None), str):
        return f"`{option.show_default}`"
    if option.required:
        return "needed" if option.param_type_name == "option" else ""
    default = option.default
    return "" if default is None or isinstance(default, bool) or callable(default) else f"`{default}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
