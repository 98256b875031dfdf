"""Write docs/commands.md from the command line itself, so that page and `--help` say the same.

python tools/commands_page.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from mien.cli.app import VERBS, build

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
_OPENING = """# Commands

Written by `tools/commands_page.py` from the program's own help: change it there. `mien COMMAND --help` shows the same.
"""


def page() -> str:
    """The whole page."""
    commands: dict[str, Any] = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    return "\n".join([_OPENING, *(_verb(name, commands[name]) for name in VERBS)])


def _verb(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["mien", name, *(p.metavar or p.name.upper() for p in arguments), "[OPTIONS]"])
    rows = [f"| `{p.metavar or p.name.upper()}` | | {p.help} |" for p in arguments]
    rows += [f"| {', '.join(f'`{flag}`' for flag in p.opts)} | {_default(p)} | {p.help} |" for p in options]
    examples = import_module(f"mien.cli.verbs.{name}").EXAMPLES
    return "\n".join(
        [
            f"## mien {name}\n",
            command.help,
            f"\n```text\n{usage}\n```\n",
            "| | default | |\n|---|---|---|",
            *rows,
            "\nExamples:\n\n```text",
            *examples,
            "```\n",
        ]
    )


def _default(option: Any) -> str:
    if option.required:
        return "needed"
    default = option.default
    if default is None or default is False or callable(default):
        return ""
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
