"""Options are the settings of the library: the same names, defaults and sentences; what is given reaches the object."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer

from mien.cli.app import VERBS, shell
from mien.cli.flags import Group, expand, groups_of
from mien.cli.machine import Machine, Screen
from mien.cli.messages import translated
from mien.cli.result import Report
from mien.cli.shown import OF_THE_REFERENCE, SHOWN, pixels
from mien.cli.values import form, metavar, parser, written
from mien.config import settings
from mien.editing.config import Strength, parse_strength
from mien.errors import InputError, MienWarning
from mien.faces.config import AlignConfig
from mien.inversion.config import InvertConfig
from mien.oneshot.config import OneShotConfig
from mien.render_config import RenderConfig
from mien.training.config import AdversarialConfig, TrainConfig
from toys import program


def _groups(verb: str) -> list[Group]:
    return groups_of(import_module(f"mien.cli.verbs.{verb}").run, SHOWN)[0]


_ALL = [(verb, group) for verb in VERBS for group in _groups(verb)]


@pytest.mark.parametrize(("verb", "group"), _ALL, ids=lambda x: x if isinstance(x, str) else x.name)
def test_command_and_python_start_from_the_same(verb: str, group: Group) -> None:
    """Without an option an object is that of Python without an argument; and each default, written out, reads as itself."""
    if group.shown.changes is not None:
        assert group.build({}) == {}
    else:
        assert group.build({}) == group.config()
    parameters = _parameters(verb)
    for setting in group.settings:
        option = parameters[f"{group.name}__{setting.name}"]
        assert option.default is None, "the command has no default of its own"
        if setting.default in (None, ()) or isinstance(setting.default, (bool, dict)):
            continue
        read = group.shown.parsers.get(setting.name) or parser(group.hints[setting.name], group.shown.classes)
        assert read(written(setting.default)) == setting.default
        if group.shown.changes is None:
            assert option.show_default == written(setting.default)


def _parameters(verb: str) -> dict[str, Any]:
    return {p.name: p for p in program().commands[verb].params}


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_means_two_things(verb: str) -> None:
    names = [name for p in _parameters(verb).values() for name in (*p.opts, *p.secondary_opts) if name.startswith("-")]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def test_every_setting_is_an_option_of_some_verb() -> None:
    """But for those that another option or argument of the verb says."""
    elsewhere = {
        (TrainConfig, "data"), (AdversarialConfig, "bf16"), *((c, "bf16") for c in SHOWN), *((c, "resolution") for c in SHOWN),
    }  # fmt: skip
    for config in SHOWN:
        shown = {s.name for _, group in _ALL if group.config is config for s in group.settings}
        nested = {s.name for s in settings(config) if dataclasses.is_dataclass(s.default)}
        missing = {s.name for s in settings(config)} - shown - nested
        assert not [name for name in missing if (config, name) not in elsewhere], config


@pytest.mark.parametrize("verb", VERBS)
def test_a_help_fits_two_screens_and_the_other_tells_all(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert shell([verb, "--help"]) == 0
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 48, "two screens of 24 lines"
    assert shell([verb, "--help-all"]) == 0
    whole = capsys.readouterr().out
    for parameter in _parameters(verb).values():
        name = parameter.opts[-1] if not parameter.secondary_opts else f"--[no-]{parameter.opts[-1][2:]}"
        if parameter.param_type_name == "option" and not parameter.secondary_opts:
            assert name in whole
            assert parameter.hidden or name in short, name


def _run(verb: Callable[..., Report], *words: str) -> int:
    app = typer.Typer()
    app.command("toy")(expand(verb, SHOWN))
    found = app(args=list(words), prog_name="toy", standalone_mode=False)
    return int(found)


def test_each_option_reaches_its_setting() -> None:
    seen: list[Any] = []

    def fit(config: OneShotConfig, align: AlignConfig, machine: Machine) -> Report:
        seen[:] = [config, align, machine]
        return Report()

    words = "--steps auto --learning-rate 0.1 --color PHOTO --space w+ --random-rows m2 --no-mirror --seed 5 --noise const"
    assert _run(fit, *words.split(), "--device", "cuda:1", "--dtype", "BFloat16", "--threads", "1", "--face", "2") == 0
    assert seen[0] == OneShotConfig(
        "auto", 0.1, color="photo", space="w_plus", random_rows="m2", mirror=False, seed=5, noise="const"
    )
    assert seen[1] == AlignConfig(face=2)
    assert seen[2] == Machine(1, "cuda:1", "bfloat16")
    assert seen[2].bf16
    assert _run(fit, "--steps", "7", "--box", "1,2,30") == 0
    assert (seen[0], seen[1]) == (OneShotConfig(7), AlignConfig(box=(1.0, 2.0, 30.0)))
    assert _run(fit, "--landmarks", "10,20 30,20 20,30 12,40 28,40") == 0
    assert seen[1].landmarks == ((10, 20), (30, 20), (20, 30), (12, 40), (28, 40))

    def draw(drawing: RenderConfig) -> Report:
        seen[:] = [drawing]
        return Report()

    words = "--strength 0.5,fine=2 --fidelity 0.3 --inverter W+ --refine 7 --keep eyes,mouth=0.5 --exaggerate nose=2 --crop"
    assert _run(draw, *words.split(), "--upscale", "2.5") == 0
    assert seen[0] == RenderConfig(
        Strength(0.5, 0.5, 2.0), 0.3, "w+", 7, {"eyes": 1.0, "mouth": 0.5}, {"nose": 2.0}, crop=True, upscale=2.5
    )


def test_changes_are_what_was_given_alone() -> None:
    seen: list[Any] = []

    def toy(run: Annotated[dict[str, Any], TrainConfig], loop: Annotated[dict[str, Any], AdversarialConfig]) -> Report:
        seen[:] = [run, loop]
        return Report()

    assert _run(toy, "--grow", "32,64", "--weights", "a=3,b", "--no-mirror", "--no-noise", "--augment", "none") == 0
    assert seen[0] == {"stages": (32, 64), "folder_weights": {"a": 3.0, "b": 1.0}, "mirror": False, "augment": ""}
    assert seen[1] == {"adversarial.noise": False}
    assert _run(toy) == 0
    assert seen == [{}, {}]


def test_messages_say_options_and_of_two_groups_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    def toy(align: AlignConfig, style_align: Annotated[AlignConfig, OF_THE_REFERENCE], photo: bool = False) -> Report:
        error = InputError("Set `aligned`, or random_from, or `nothing`; see `mien masks`.")
        error.about = align if photo else style_align
        raise error

    for words, option in ((["--photo"], "--aligned"), ([], "--style-aligned")):
        with pytest.raises(InputError) as caught:
            _run(toy, *words)
        assert str(caught.value) == f"Set {option}, or random_from, or `nothing`; see `mien masks`."
    with pytest.raises(typer.BadParameter, match="--style-aligned and --style-box both say"):
        _run(toy, "--style-aligned", "--style-box", "1,2,3")


def test_translation_leaves_other_words_alone() -> None:
    options = {"random_layers": "--random-layers", "steps": "--steps", "out": "--out"}
    text = "`steps` and random_layers of my_random_layers.png, w_plus, ten steps; `out`/random_layers.txt"
    told = "--steps and --random-layers of my_random_layers.png, w_plus, ten steps; --out/random_layers.txt"
    assert translated(text, options) == told


def test_warnings_and_failures_are_said_in_options_too(capsys: pytest.CaptureFixture[str]) -> None:
    def toy(config: OneShotConfig, screen: Screen, fail: bool = False) -> Report:
        warnings.warn("few `steps`", MienWarning, stacklevel=1)
        if fail:
            raise InputError("no `seed`")
        return Report(warnings=["a `seed`"], failed={"a.png": "`steps`"})

    assert _run(toy, "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["warnings"] == ["few --steps", "a --seed"]
    assert "a.png: --steps" in shown.err
    with pytest.raises(InputError, match="no --seed"):
        _run(toy, "--fail")
    assert "few --steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "3", 3), (float, "0.5", 0.5), (str, "x", "x"), (Path, "a/b", Path("a/b")), (int | None, "3", 3),
        (int | str, "x", "x"), (tuple[int, ...], "3, 8", (3, 8)),
        (tuple[float, float], "1,2.5", (1.0, 2.5)), (dict[str, float], "a,b=0.5", {"a": 1.0, "b": 0.5}),
        (dict[str, float], "a=b=3, c=0", {"a=b": 3.0, "c": 0.0}),
    ],
)  # fmt: skip
def test_texts_become_values(hint: Any, text: str, value: Any) -> None:
    assert parser(hint)(text) == value


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "1.5"), (float, "nan"), (float, "inf"), (tuple[float, float], "1,2,3"), (tuple[int, ...], "a"),
        (dict[str, float], "a=much"), (dict[str, float], "a,a"), (dict[str, float], ""),
    ],
)  # fmt: skip
def test_texts_that_are_none_are_refused(hint: Any, text: str) -> None:
    with pytest.raises((InputError, ValueError)):
        parser(hint)(text)


def test_classes_have_a_text_form_of_their_own() -> None:
    read = parser(float | Strength, {Strength: parse_strength})
    assert Strength.of(read("0.5")) == Strength(0.5, 0.5, 0.5)
    assert read("coarse=2") == Strength(coarse=2.0)
    with pytest.raises(InputError, match="coarse=1"):
        read("big=1")
    assert parser(InvertConfig | str)("w+") == "w+"
    assert pixels("16px, 32") == (16, 32)
    with pytest.raises(InputError, match="32px"):
        pixels("big")


def test_forms_of_values() -> None:
    assert metavar(tuple[int, ...]) == "N,..."
    assert metavar(int | None) == "N"
    assert form(dict[str, float]).startswith("names")
    assert form(Literal["a", "b"] | float) == "a, b or a number"


def test_threads_are_those_of_the_machine() -> None:
    with pytest.raises(InputError, match=r"`threads` must be from 1 to \d+"):
        Machine(threads=9999)
    with pytest.raises(InputError, match="no device 'tpu'"):
        Machine(device="tpu")
