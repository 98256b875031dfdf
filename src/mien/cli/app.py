"""The entry point `mien`: the list of verbs, and the shell that turns errors into one sentence and an exit code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from json import dumps
from typing import Annotated

import typer

from mien import __version__
from mien.cli.flags import expand
from mien.cli.help import Program, VerbCommand
from mien.cli.result import StoppedError, as_document
from mien.cli.shown import SHOWN
from mien.cli.streams import prepare_streams
from mien.errors import MienError, printable

# A new verb is a new module in `verbs/` and its name here, under the heading that `mien --help` shows.
GROUPS = {
    "Photos": ("stylize", "apply", "fit", "video"),
    "Individual steps": ("faces", "sample", "masks", "regions", "align", "invert"),
    "In a browser": ("serve",),
    "Comparing": ("evaluate", "blind"),
    "Models": ("models", "inspect", "convert", "export", "dataset", "train", "swap", "sweep", "report", "bench"),
}
VERBS = tuple(verb for group in GROUPS.values() for verb in group)

_NO_MEMORY = re.compile(
    "can't allocate memory"  # torch
    "|failed to map segment from shared object"  # a library is not even loaded
    "|^error return without exception set"  # Python's own C code
)
EXIT_USER, EXIT_BUG, EXIT_STOPPED = 2, 70, 130


def build(verbs: Sequence[str] = VERBS) -> typer.Typer:
    """The command line with these verbs."""
    app = typer.Typer(name="mien", cls=Program, rich_markup_mode=None, add_completion=True, pretty_exceptions_enable=False)
    first = "mien stylize me.jpg --style reference.png -o out.png"

    @app.callback(invoke_without_command=True, epilog=f"Example: {first}")
    def mien(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
        json: Annotated[
            bool, typer.Option("--json", help="With --version: all versions that change results, as JSON.")
        ] = False,
    ) -> None:
        """Redraw the faces in photos in the style of a single image.

        Everything runs on your own computer, offline.
        """
        if version and json:
            from mien.cli.versions import versions

            print(dumps(versions(), indent=1))
        elif version:
            print(f"mien {__version__}")
        elif context.invoked_subcommand is None:
            print(context.get_help())

    for name in verbs:
        verb = import_module(f"mien.cli.verbs.{name}")
        epilog = "\n".join(verb.EXAMPLES)
        heading = next(heading for heading, group in GROUPS.items() if name in group)
        needs = bool(getattr(verb, "NEEDS_ARGUMENTS", True))
        app.command(name, cls=VerbCommand, epilog=epilog, rich_help_panel=heading, no_args_is_help=needs)(
            expand(verb.run, SHOWN)
        )
    return app


def shell(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0: done; 1: some inputs failed, all named; 2: the user can fix it; 70: an internal error; 130: stopped by Ctrl-C.
    """
    try:
        # The verb alone, where one is named: the help need not wait for the others.
        verbs = [name for name in arguments[:1] if name in VERBS] or VERBS
        code = build(verbs)(args=list(arguments), prog_name="mien", standalone_mode=False)
        if code == EXIT_STOPPED:  # typer keeps Ctrl-C to itself
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except BaseException as error:  # the one place where every error ends
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else EXIT_BUG
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            print(error.format_message(), file=sys.stderr)  # type: ignore[attr-defined]
            return EXIT_USER
        code, sentence = _verdict(error, has_batch="train" in arguments[:1])
        if "--debug" in arguments:
            traceback.print_exception(error)
        print(f"mien: {printable(sentence, 1500)}", file=sys.stderr)
        if "--json" in arguments:
            written = {"written": [{"out": out} for out in error.written]} if isinstance(error, StoppedError) else {}
            print(as_document({"ok": False, "error": sentence, "code": code, **written}))
        return code


def _verdict(error: BaseException, *, has_batch: bool = False) -> tuple[int, str]:
    """Exit code and sentence for an error; `has_batch`: whether the command has --batch."""
    message = " ".join(str(error).split())
    if isinstance(error, StoppedError):
        return EXIT_STOPPED, message
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return EXIT_STOPPED, "stopped before anything was written."
    if isinstance(error, MienError):
        return EXIT_USER, message
    if hasattr(error, "format_message"):  # typer's own errors: a flag or argument that it refused
        context = getattr(error, "ctx", None)
        hint = f" See `{context.command_path} --help`." if context is not None else ""
        return EXIT_USER, f"{error.format_message()}{hint}"
    if isinstance(error, OSError) and error.strerror:
        what = f"{printable(str(error.filename))}: " if error.filename else ""
        return EXIT_USER, f"{what}{error.strerror}; nothing half-written was left behind."
    if "os error 28" in message:  # safetensors' wording of a full disk
        return EXIT_USER, "No space left on the device; nothing half-written was left behind."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _NO_MEMORY.search(message):
        smaller = "a smaller --batch, a smaller model" if has_batch else "a smaller image or model"
        return EXIT_USER, f"Out of memory: use {smaller}, or another --device."
    return (
        EXIT_BUG,
        f"Internal error ({type(error).__name__}: {message[:200]}). Re-run with --debug and report it.",
    )


def run() -> None:
    """The console script."""
    prepare_streams()
    code = shell(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)
