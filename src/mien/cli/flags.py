"""Options made from settings: `expand` turns the configuration classes that a verb takes into one option per field."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer import BadParameter, Context, Exit, Option
from typer.models import ArgumentInfo, OptionInfo

from mien.cli.help import GENERAL
from mien.cli.machine import Screen, Threads
from mien.cli.messages import translated
from mien.cli.result import Report, live
from mien.cli.streams import STDOUT
from mien.cli.values import Parse, choices, form, metavar, parser, written
from mien.config import Setting, settings
from mien.errors import InputError, MienError, MienWarning
from mien.oneshot.presets import preset_values
from mien.runtime import set_threads


@dataclass(frozen=True)
class Shown:
    """How the settings of a class appear on the command line. Everything else comes from the class itself."""

    panel: str
    """Heading in the help."""
    common: tuple[str, ...] | None = None
    """Settings that `--help` shows, the others only under `--help-all`; None: all."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options that are not called like their setting; the first one is said in messages."""
    prefix: str = ""
    """Before the names of all others."""
    without: tuple[str, ...] = ()
    """Settings that are no options."""
    only: tuple[str, ...] | None = None
    """Settings that are options; None: all."""
    parsers: Mapping[str, Parse] = field(default_factory=dict)
    metavars: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)
    """What a help says of a setting in place of its own sentence."""
    classes: Mapping[type, Parse] = field(default_factory=dict)
    """How classes that a setting can be are read."""
    checked: bool = True
    """Whether such changes must make an object of the class by themselves."""
    changes: str | None = None
    """The verb gets {dotted name: value} of what was given, with this before the names, instead of an object."""


@dataclass
class Group:
    """One parameter of a verb whose settings are options."""

    name: str
    config: type
    shown: Shown
    built: Any = None
    """The object that the verb got."""

    def __post_init__(self) -> None:
        keep = [s for s in settings(self.config) if s.name not in self.shown.without]
        only = self.shown.only
        self.settings: list[Setting] = keep if only is None else [s for s in keep if s.name in only]
        self.hints = get_type_hints(self.config)
        nested = {name for name, hint in self.hints.items() if dataclasses.is_dataclass(hint)}
        self.settings = [s for s in self.settings if s.name not in nested]

    def options(self, setting: str) -> tuple[str, ...]:
        """The names of a setting's option."""
        return self.shown.names.get(setting) or (f"--{self.shown.prefix}{setting.replace('_', '-')}",)

    def parameter(self, setting: Setting) -> inspect.Parameter:
        """The option of one setting, for typer. It is None where it was not given."""
        hint, names = self.hints[setting.name], self.options(setting.name)
        said = {s.name: next(o for o in self.options(s.name) if o.startswith("--")) for s in self.settings}
        sentence = translated(self.shown.sentences.get(setting.name, setting.sentence), said).replace("None: ", "default: ")
        hidden = self.shown.common is not None and setting.name not in self.shown.common
        default = None if self.shown.changes is not None else setting.default
        shared: dict[str, Any] = {
            "help": _sentence(sentence, hint), "rich_help_panel": self.shown.panel, "hidden": hidden,
"show_default": _default(default),
        }  # fmt: skip
        if _is_switch(hint):
            both = setting.default is not False or self.shown.changes is not None
            names = (f"{names[0]}/--no-{names[0][2:]}", *names[1:]) if both else names
            kind: Any = Annotated[bool | None, Option(*names, **shared)]
        else:
            read = self.shown.parsers.get(setting.name) or parser(hint, self.shown.classes)
            meta = self.shown.metavars.get(setting.name) or metavar(hint)
            known = choices(hint)
            completion = (lambda: list(known)) if known else None
            shared |= {"metavar": meta, "callback": _callback(read), "autocompletion": completion}
            kind = Annotated[str | None, Option(*names, **shared)]
        return inspect.Parameter(f"{self.name}__{setting.name}", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)

    def build(self, given: Mapping[str, Any]) -> Any:
        """What the verb gets, from the options that were given."""
        if self.shown.changes is not None:
            if self.shown.checked and all(setting.default is not dataclasses.MISSING for setting in settings(self.config)):
                self.config(**given)  # for its checks
            before = f"{self.shown.changes}." if self.shown.changes else ""
            self.built = {before + name: value for name, value in given.items()}
        else:
            self.built = self.config(**given)
        return self.built


def groups_of(verb: Callable[..., Any], shown: Mapping[type, Shown]) -> tuple[list[Group], list[inspect.Parameter]]:
    """The parameters of a verb that are settings, and those that are arguments and options by themselves.

    `shown` says how classes appear, unless the parameter's annotation does.
    """
    groups, others = [], []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        hint, more = parameter.annotation, get_args(parameter.annotation)[1:]
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        own = next((m for m in more if isinstance(m, Shown)), None)
        config = next((m for m in more if isinstance(m, type)), inner)
        if isinstance(config, type) and dataclasses.is_dataclass(config):
            groups.append(Group(parameter.name, config, own or shown[config]))
        else:
            others.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            for told in more:
                if isinstance(told, (OptionInfo, ArgumentInfo)) and not _is_switch(inner):
                    told.metavar, told.case_sensitive = told.metavar or metavar(inner), False
                    told.help = _sentence(told.help or "", inner)
    return groups, others


def _show_all(context: Context, value: bool) -> None:
    if value:
        context.command.everything = True  # type: ignore[attr-defined]
        print(context.get_help())
        raise Exit


_HELP_ALL = Annotated[
    bool, Option("--help-all", is_eager=True, callback=_show_all, help="Show all options and exit.", rich_help_panel=GENERAL)
]


def expand(verb: Callable[..., Report], shown: Mapping[type, Shown]) -> Callable[..., int]:
    """A command for typer from a verb that takes settings and returns a report.

    Every parameter annotated with a configuration class becomes one option per field; its object is built when the command is
    called. Options that were not given have the value of the preset, or else the default of their class. What the library says
    of settings is said of their options.
    """
    groups, others = groups_of(verb, shown)
    hidden = None if any(issubclass(g.config, Threads) for g in groups) else Group("threads", Threads, Shown(GENERAL, ()))
    to_stdout = getattr(sys.modules[verb.__module__], "TO_STDOUT", False)

    def command(context: Context, help_all: bool = False, **values: Any) -> int:
        given = {name for name in values if (source := context.get_parameter_source(name)) and source.name != "DEFAULT"}
        said = {name.rpartition("__")[2] for name in given}
        preset = preset_values(values.get("preset"), said.__contains__)
        for group in [*groups, *([hidden] if hidden else [])]:
            found = {s.name: values.pop(f"{group.name}__{s.name}") for s in group.settings}
            found = {n: v for n, v in found.items() if f"{group.name}__{n}" in given}
            filled = {s.name: preset[s.name] for s in group.settings if s.name in preset}
            try:
                values[group.name] = group.build(filled | found)
            except (InputError, ValueError) as error:
                raise BadParameter(translated(str(error), option_names(context, group)), ctx=context) from error
        threads = values.pop("threads") if hidden else None
        values = {name: _at_home(value) for name, value in values.items()}
        if not to_stdout and str(values.get("out")) == STDOUT:
            raise BadParameter(f"{context.info_name} does not write to stdout: give a name instead of -.", ctx=context)
        return _call(verb, values, context, groups, threads)

    every = [*groups, *([hidden] if hidden else [])]
    parameters = [p for group in every for p in map(group.parameter, group.settings)] + others
    parameters.append(inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_HELP_ALL))
    parameters.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=Context))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = inspect.getdoc(verb)
    return command


def _at_home(value: Any) -> Any:
    """Paths with `~` for the home folder where no shell has put it in, as in --out=~/x."""
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    return value.expanduser() if isinstance(value, Path) else value


def _call(
    verb: Callable[..., Report], values: dict[str, Any], context: Context, groups: Sequence[Group], threads: Threads | None
) -> int:
    machine = next((v for v in values.values() if isinstance(v, Threads)), threads or Threads())
    screen = next((v for v in values.values() if isinstance(v, Screen)), Screen())
    with warnings.catch_warnings(record=True) as caught, live(names=not screen.json) as told:
        warnings.simplefilter("always", MienWarning)
        try:
            set_threads(machine.threads)
            report = verb(**values)
        except MienError as error:
            about = next((g for g in groups if g.built is not None and g.built is error.about), None)
            error.args = (translated(str(error), option_names(context, about)),)
            Report(warnings=_sentences(caught, context)).notes(quiet=screen.quiet)
            raise
        except KeyboardInterrupt as stop:
            raise told.stopped(can_skip="skip_existing" in option_names(context)) from stop
    said = [translated(text, option_names(context)) for text in report.warnings]
    report.warnings = list(dict.fromkeys([*_sentences(caught, context), *said]))
    report.failed = {name: translated(text, option_names(context)) for name, text in report.failed.items()}
    return report.show(as_json=screen.json, quiet=screen.quiet)


def _sentences(caught: Sequence[warnings.WarningMessage], context: Context) -> list[str]:
    """Our own warnings; those of other libraries go where Python shows them."""
    for other in caught:
        if not issubclass(other.category, MienWarning):
            warnings.showwarning(other.message, other.category, other.filename, other.lineno)
    texts = [str(w.message) for w in caught if issubclass(w.category, MienWarning)]
    return list(dict.fromkeys(translated(text, option_names(context)) for text in texts))


def option_names(context: Context, first: Group | None = None) -> dict[str, str]:
    """{setting or parameter: its option} of the command that runs; where two share a name, that of the group `first`."""
    found: dict[str, str] = {}
    for parameter in context.command.params:
        group, _, name = (parameter.name or "").rpartition("__")
        option = next((o for o in parameter.opts if o.startswith("--")), None)
        if option is not None and (name not in found or (first is not None and group == first.name)):
            found[name] = option
    return found


def _callback(read: Parse) -> Callable[[str | None], Any]:
    def callback(value: str | None) -> Any:
        if value is None or not isinstance(value, str):
            return value
        try:
            return read(value)
        except (InputError, ValueError) as error:
            raise BadParameter(str(error)) from error

    return callback


def _default(value: object) -> str | bool:
    """What a help says of a default; nothing of switches and of what is empty."""
    empty = value is None or isinstance(value, bool) or (isinstance(value, Sized) and not value)
    return False if empty else written(value)


def _is_switch(hint: Any) -> bool:
    return hint is bool or set(get_args(hint)) == {bool, type(None)}


def _sentence(text: str, hint: Any) -> str:
    names = choices(hint)
    if names and not all(name in text for name in names) and len("|".join(names)) > 18:
        text = f"{text.rstrip('.')}; {form(hint)}"
    return f"{text[:1].upper()}{text[1:]}." if text and not text.endswith(".") else text
