"""What `--help` prints: the common options, the first clause of each sentence; `--help-all`: everything."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

GENERAL = "General"
_LEFT, _WIDEST, _EXAMPLES = 30, 100, 3


class VerbCommand(TyperCommand):
    """A verb."""

    everything = False
    """Whether options for experts are shown too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb."""
        usage = " ".join([ctx.command_path, *filter(None, map(_usage, self.params)), "[OPTIONS]"])
        parts = [textwrap.fill(f"Usage: {usage}", _width(), subsequent_indent="       ", break_on_hyphens=False)]
        parts += [textwrap.fill(" ".join(text.split()), _width()) for text in (self.help or "").split("\n\n")]
        panels: dict[str, list[Any]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            heading = GENERAL if parameter.name == "help" else getattr(parameter, "rich_help_panel", None) or "Options"
            if self.everything or not getattr(parameter, "hidden", False):
                panels.setdefault("Arguments" if parameter.param_type_name == "argument" else heading, []).append(parameter)
        panels[GENERAL] = panels.pop(GENERAL, [])  # the last
        parts.append("\n".join(line for h, found in panels.items() if found for line in (_bold(h), *self._rows(found))))
        examples = [line for line in (self.epilog or "").splitlines() if line][: None if self.everything else _EXAMPLES]
        parts.append("\n".join([_bold("Examples"), *(f"  {line}" for line in examples)]))
        formatter.write("\n\n".join(parts) + "\n")

    def _rows(self, parameters: Iterable[Any]) -> list[str]:
        lines: list[str] = []
        for parameter in parameters:
            told, default = (parameter.help or "").strip(), _default(parameter)
            if not self.everything:
                told = first_clause(told, _width() - _LEFT - len(default))
            lines += row(names(parameter), told + default)
        return lines


class Program(TyperGroup):
    """All verbs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the program: the verbs under their headings."""
        parts = ["Usage: mien COMMAND ...", *(" ".join(text.split()) for text in (self.help or "").split("\n\n"))]
        panels: dict[str, list[str]] = {}
        for name, command in self.commands.items():
            told = " ".join((command.help or "").split("\n\n")[0].split())
            panels.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).extend(row(name, told, 14))
        parts += ["\n".join([_bold(heading), *lines]) for heading, lines in panels.items()]
        parts += [
            self.epilog or "",
            "`mien COMMAND --help` lists the options of a command, `mien --version` the version.",
        ]
        formatter.write("\n\n".join(parts) + "\n")


def names(parameter: Any) -> str:
    """How an option is written: `--steps N|auto`, `-o, --out PATH`."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    flags = sorted(parameter.opts, key=lambda flag: flag.startswith("--"))
    if parameter.secondary_opts:
        flags[0] = f"--[no-]{flags[0][2:]}"
    return ", ".join(flags) + (f" {parameter.metavar}" if parameter.metavar else "")


def first_clause(sentence: str, width: int) -> str:
    """A sentence up to its first semicolon; if that is longer than a line, up to its first colon."""
    clause = sentence.split(";")[0]
    clause = clause if len(clause) < width else clause.split(": ")[0]
    return clause.rstrip(".") + "." if clause else ""


def row(left: str, right: str, column: int = _LEFT) -> list[str]:
    """Two columns, the right one from `column` on; in more lines where it does not fit."""
    lines = textwrap.wrap(right, _width() - column, break_on_hyphens=False) or [""]
    first = f"  {left}".ljust(column)
    if len(first) > column or not first.endswith(" "):
        return [f"  {left}", *(" " * column + line for line in lines)]
    return [first + lines[0], *(" " * column + line for line in lines[1:])]


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return names(parameter)
    return f"{next(o for o in parameter.opts if o.startswith('--'))} {parameter.metavar}" if parameter.required else ""


def _default(parameter: Any) -> str:
    shown = parameter.show_default
    if isinstance(shown, str):
        return f" [{shown}]"
    if not shown or parameter.default in (None, False, True) or callable(parameter.default):
        return " [required]" if parameter.required and parameter.param_type_name == "option" else ""
    return f" [{parameter.default}]"


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST) - 1
