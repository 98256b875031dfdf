"""Configuration dataclasses, read from and written to TOML, and described by the sentences on their own fields.

    @dataclass(frozen=True)
    class OneShotConfig:
        steps: Annotated[int, "optimization steps"] = 300

The sentence is the one source of what the help, the documentation and a saved TOML file say about a setting.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mien.errors import InputError, shown
from mien.files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
_MOST_NUMBER = 2.0**63


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a configuration class: its name, its sentence and its default (`MISSING` where it must be given)."""

    name: str
    sentence: str
    default: object = dataclasses.MISSING


def settings(config: type) -> tuple[Setting, ...]:
    """The fields of a configuration class with their sentences."""
    hints = get_type_hints(config, include_extras=True)
    found = []
    for field in dataclasses.fields(config):
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        found.append(Setting(field.name, _sentence(hints[field.name]), default))
    return tuple(found)


def _sentence(hint: object) -> str:
    texts = [text for text in get_args(hint)[1:] if isinstance(text, str)] if get_origin(hint) is Annotated else []
    return texts[0] if texts else ""


def changed(config: T, settings: Mapping[str, Any], elsewhere: Mapping[str, str] = MappingProxyType({})) -> T:
    """`config` with some of its settings changed, by name; raises `InputError` for a name that is none of them.

    `elsewhere` says where settings belong that somebody might give here: {name: a sentence}.
    """
    names = [f.name for f in dataclasses.fields(config)]  # type: ignore[arg-type]
    unknown = sorted(settings.keys() - set(names))
    if unknown:
        raise _no_setting(unknown[0], names, elsewhere.get(unknown[0]))
    return dataclasses.replace(config, **settings) if settings else config  # type: ignore[type-var]


def with_settings(settings: Mapping[str, Any], *configs: Any) -> tuple[Any, ...]:
    """`configs` with settings changed by name, each in the first of them that has it; raises `InputError` for other names."""
    left, made = dict(settings), []
    for config in configs:
        own = {f.name: left.pop(f.name) for f in dataclasses.fields(config) if f.name in left}
        made.append(changed(config, own))
    if left:
        names = [f.name for config in configs for f in dataclasses.fields(config)]
        raise _no_setting(next(iter(left)), names)
    return tuple(made)


def _no_setting(name: str, names: Sequence[str], where: str | None = None) -> InputError:
    close = get_close_matches(name, names, 1)
    usual = f"did you mean `{close[0]}`?" if close else f"the settings are {', '.join(names)}."
    return InputError(f"There is no setting {shown(repr(name), 40)} here: {where or usual}")


def from_mapping(config: type[T], values: Mapping[str, Any], source: str = "the configuration") -> T:
    """Build `config` from plain values (of a TOML or JSON document); nested dataclasses from nested tables.

    Raises `InputError` for unknown names, missing ones and values of another type.
    """
    fields = {f.name: f for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    former: Mapping[str, str] = getattr(config, "FORMER", {})  # names in files of before, and what they are called now
    values = {former.get(name, name): value for name, value in values.items()}
    unknown = sorted(values.keys() - fields.keys())
    if unknown:
        named = ", ".join(shown(repr(name), 40) for name in unknown[:3])
        raise InputError(f"{source} has no setting {named}: the settings are {', '.join(fields)}.")
    hints = get_type_hints(config)
    ready = {name: _convert(value, hints[name], f"'{name}' in {source}") for name, value in values.items()}
    needed = [n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING and n not in ready]
    if needed:
        raise InputError(f"{source} lacks {', '.join(map(repr, needed))}: add it.")
    try:
        return config(**ready)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(value, options, where)
    if origin is Literal:
        if value in options:
            return value
        raise InputError(f"{where} must be one of {', '.join(map(str, options))}, got {shown(_quoted(value), 60)}.")
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin in (tuple, list) and isinstance(value, (list, tuple)):
        kinds = list(options[:1]) * len(value) if origin is list or options[-1] is Ellipsis else list(options)
        if len(kinds) != len(value):
            raise InputError(f"{where} must have {len(kinds)} values, got {len(value)}.")
        return origin(_convert(v, kind, where) for v, kind in zip(value, kinds, strict=True))
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: _convert(v, options[1], where) for key, v in value.items()}
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint in (int, float) and type(value) in (int, float) and not abs(value) < _MOST_NUMBER:  # also NaN
        raise InputError(f"{where} must be a number below {_MOST_NUMBER:.0e}, got {shown(value, 40)}.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = origin or hint
    if isinstance(plain, type) and isinstance(value, plain) and not (isinstance(value, bool) and plain is not bool):
        return value
    raise InputError(f"{where} must be {getattr(plain, '__name__', plain)}, got {shown(_quoted(value), 60)}.")


def _quoted(value: object) -> object:
    """A value for a message: texts in quotes, the rest as `shown` shows it."""
    return repr(value[:60]) if isinstance(value, str) else value


def _convert_union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if type(None) in options and (value is None or value == "none"):
        return None
    problem: InputError | None = None
    for option in options:
        if option is not type(None):
            try:
                return _convert(value, option, where)
            except InputError as error:
                problem = problem or error
    raise problem or InputError(f"{where} must be none, got {shown(_quoted(value), 60)}.")


def to_toml(config: Any) -> str:
    """The configuration as TOML, every setting under its sentence; nested dataclasses become tables. None is written "none"."""
    return "\n".join(_toml_lines(config, "")) + "\n"


def _toml_lines(config: Any, table: str) -> list[str]:
    plain, nested = [], []
    for setting in settings(type(config)):
        value = getattr(config, setting.name)
        note = [f"# {setting.sentence}"] if setting.sentence else []
        if dataclasses.is_dataclass(value):
            name = f"{table}{setting.name}"
            nested += ["", *note, f"[{name}]", *_toml_lines(value, f"{name}.")]
        else:
            plain += [*note, f"{setting.name} = {_toml_value(value)}"]
    return plain + nested


def _toml_value(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        return _toml_string(str(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_string(str(k))} = {_toml_value(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"a configuration cannot hold {type(value).__name__}")


def _toml_string(text: str) -> str:
    # JSON strings are TOML strings, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_MOST_BYTES = 256 << 10  # of a configuration: a table in a table in a table takes 350 times the text that names it


def from_toml(config: type[T], path: Path) -> T:
    """Read a TOML file into `config`; raises `InputError` with one sentence for whatever is wrong with it."""
    text = read_text(path, most=_MOST_BYTES)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of which TOMLDecodeError is one; endless numbers are another
        reason = "it is nested too deep" if isinstance(error, RecursionError) else shown(error, 120)
        raise InputError(f"{path} cannot be read as TOML: {reason}.") from error
    return from_mapping(config, values, str(path))
