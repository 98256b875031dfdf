"""The table of dependencies says what pyproject.toml says, and both licenses of the package are named."""

import json
import re
import sys
from pathlib import Path

import pytest

from mien.cli.versions import versions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_REPOSITORY = Path(__file__).parent.parent
_PROJECT = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_ROW = re.compile(r"\| ([a-z0-9-]+) \| ([\d.]+) \| ([^|]+) \| ([^|]+) \|")


def _bounds(requirements: list[str]) -> dict[str, str]:
    found = {}
    for requirement in requirements:
        match = re.fullmatch(r"([a-z0-9-]+)>=([\d.]+)(;.*)?", requirement.replace(" ", ""))
        assert match, f"{requirement}: a lower bound alone, as long as no newer version is known to break"
        found[match[1]] = match[2]
    return found


def test_the_table_is_that_of_the_project() -> None:
    rows = {name: (bound, terms) for name, bound, terms, _ in _ROW.findall((_REPOSITORY / "docs/dependencies.md").read_text())}
    extras = _PROJECT["optional-dependencies"]
    used = [*_PROJECT["dependencies"], *(r for name in extras if name not in ("test", "dev") for r in extras[name])]
    assert {name: bound for name, (bound, _) in rows.items()} == _bounds(used)
    assert all(re.match(r"(MIT|Apache-2\.0|BSD|BSL|MIT-CMU)", terms) for _, terms in rows.values())


def test_both_licenses_are_in_the_metadata() -> None:
    assert _PROJECT["license"] == "Apache-2.0 AND CC-BY-NC-SA-4.0"
    assert all((_REPOSITORY / name).exists() for name in _PROJECT["license-files"])


def test_the_versions_of_all_that_changes_bytes() -> None:
    found = versions()
    assert {"mien", "python", "torch", "numpy", "pillow", "dlib-bin", "safetensors", "faces.safetensors"} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())


@pytest.mark.parametrize("arguments", [["--version", "--json"], ["--json", "--version"]])
def test_the_command_prints_them(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from mien.cli.app import shell

    assert shell(arguments) == 0
    assert json.loads(capsys.readouterr().out) == versions()
