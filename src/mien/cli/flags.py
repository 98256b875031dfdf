"""Flags as dataclasses: `expand` turns a verb's dataclass parameters into one option per field."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

from typer import Context, Option
from typer.models import OptionInfo

from mien.cli.result import Report
from mien.errors import MienWarning
from mien.oneshot.presets import preset_values
from mien.runtime import Device, Dtype, set_threads


@dataclasses.dataclass(frozen=True)
class ScreenFlags:
    """How a command talks."""

    PANEL: ClassVar[str] = "Screen"

    json: Annotated[bool, Option("--json", help="Print one JSON document on stdout instead of lines.")] = False
    quiet: Annotated[bool, Option("--quiet", help="No progress and no notes on stderr; errors are still shown.")] = False
    debug: Annotated[bool, Option("--debug", help="Show the whole traceback of an error.")] = False


@dataclasses.dataclass(frozen=True)
class MachineFlags:
    """Where a command computes."""

    PANEL: ClassVar[str] = "Machine"

    device: Annotated[Device, Option(help="Where to compute; auto takes CUDA, then MPS, then the CPU.")] = "auto"
    threads: Annotated[int | None, Option(help="CPU threads; without it one per core.", show_default=False, min=1)] = None
    dtype: Annotated[
        Dtype, Option(help="Number type of the convolutions; float32 is exact, bfloat16 is quicker where supported.")
    ] = "float32"


def expand(verb: Callable[..., Report]) -> Callable[..., int]:
    """A command for typer from a verb that takes dataclasses of flags and returns a report.

    Every parameter annotated with a dataclass becomes one option per field, and its object is built when the command is called.
    """
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation  # type: ignore[assignment]
            parameters += _options(parameter.name, parameter.annotation)  # type: ignore[arg-type]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    def command(context: Context | None = None, **values: Any) -> int:
        former = {"fidelity": "likeness", "refine_steps": "refine"}
        preset = preset_values(values.get("preset"), lambda option: _given(context, groups, former.get(option, option)))
        preset = {former.get(option, option): value for option, value in preset.items()}
        for name, group in groups.items():
            found = {field.name: values.pop(f"{name}__{field.name}") for field in dataclasses.fields(group)}
            values[name] = group(**found | {option: preset[option] for option in found.keys() & preset.keys()})
        machine = next((v for v in values.values() if isinstance(v, MachineFlags)), None)
        set_threads(machine.threads if machine else None)
        screen = next((v for v in values.values() if isinstance(v, ScreenFlags)), ScreenFlags())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MienWarning)
            report = verb(**values)
        noted = [str(w.message) for w in caught if issubclass(w.category, MienWarning)]
        for other in caught:  # those of libraries go where Python shows them
            if not issubclass(other.category, MienWarning):
                warnings.showwarning(other.message, other.category, other.filename, other.lineno)
        report.warnings = list(dict.fromkeys([*noted, *report.warnings]))
        return report.show(as_json=screen.json, quiet=screen.quiet)

    parameters.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=Context))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = inspect.getdoc(verb)
    return command


def _given(context: Context | None, groups: Mapping[str, Any], option: str) -> bool:
    """Whether the user wrote this option, in whichever group it is."""
    names = [
        f"{name}__{option}" for name, group in groups.items() if option in {field.name for field in dataclasses.fields(group)}
    ]
    sources = [context.get_parameter_source(name) for name in names] if context is not None else []
    return any(source is not None and source.name != "DEFAULT" for source in sources)


def _options(prefix: str, group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    found = []
    for field in dataclasses.fields(group):
        told = get_args(hints[field.name])[1]
        assert isinstance(told, OptionInfo), f"{group.__name__}.{field.name} is no option"
        told.rich_help_panel = getattr(group, "PANEL", None)
        if not isinstance(told.default, str):  # typer keeps the first name of an annotated option there
            told.param_decls = (f"--{field.name.replace('_', '-')}",)
        found.append(
            inspect.Parameter(
                f"{prefix}__{field.name}", inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
        )
    return found
