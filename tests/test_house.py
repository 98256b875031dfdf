"""The rules of the house: layers, names, sizes, docstrings, what may be imported where. All by reading the source text."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import mien
from toys import script

_REPOSITORY = Path(__file__).parent.parent
_SOURCE = _REPOSITORY / "src" / "mien"
_FILES = sorted(_SOURCE.rglob("*.py"))
_SETTINGS = [path for path in _FILES if path.name == "config.py" and path.parent != _SOURCE]

# An import only points down. Members of one tuple do not import each other.
_LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "runtime", "config", "files", "folder_lock", "lazy", "shipped"),
    ("ops", "latents"),
    ("models", "media"),
    ("checkpoint",),
    ("faces", "losses"),
    ("inversion", "training", "metrics"),
    ("oneshot", "editing"),
    ("mappers",),
    ("styles", "render_config"),
    ("face_model", "map_faces"),
    ("pipeline",),
    ("shortcuts", "many_styles", "streaming"),
    ("video",),
    ("evaluation", "dataset", "batch", "exporters"),
    ("web",),
    ("cli",),
)
# The bottom: everybody may use these, they themselves only each other.
_BOTTOM = set(_LAYERS[0])
_MOST_LINES, _LONGEST_FUNCTION, _MOST_PARAMETERS, _LONGEST_VERB = 300, 60, 8, 25
# Over a limit when it was set: this set only shrinks.
_FORBIDDEN = re.compile(r"(?i:^|_)(?i:utils?|helpers?|misc)(?i:$|_)|Manager|Helper|Utils?$")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return str(path.relative_to(_SOURCE))


def _part(path: Path) -> str:
    relative = path.relative_to(_SOURCE)
    return relative.parts[0].removesuffix(".py")


def _for_every_file(check: Callable[[Path], None]) -> Callable[[str], None]:
    """A test for every room, which checks its files: one for every file would take longer to report than to do."""

    @pytest.mark.parametrize("room", sorted({_part(path) for path in _FILES}))
    def test(room: str) -> None:
        for path in _FILES:
            if _part(path) == room:
                check(path)

    return test


def _level(part: str) -> int:
    return next(i for i, names in enumerate(_LAYERS) if part in names)


def _type_checking_only(tree: ast.Module) -> set[ast.AST]:
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {inner for block in blocks for inner in ast.walk(block)}


def _imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    tree = _tree(path)
    hidden = _type_checking_only(tree)
    if top_only:
        hidden |= {n for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@_for_every_file
def test_imports_point_down(path: Path) -> None:
    part = _part(path)
    if part in {"__init__", "__main__"}:
        return
    assert any(part in names for names in _LAYERS), (
        f"{part} belongs to no layer: give it one in this test and in the architecture page"
    )
    for name in _imports(path):
        if not name.startswith("mien.") or name == "mien.__version__":
            continue
        other = name.split(".")[1]
        if other == part or other in _BOTTOM:
            continue
        assert _level(other) < _level(part), f"{_name(path)} (layer {_level(part)}) imports {name} (layer {_level(other)})"


@_for_every_file
def test_pickle_and_torch_load_live_in_one_place(path: Path) -> None:
    where = _name(path).replace("\\", "/")
    if where != "checkpoint/foreign/unpickle.py":
        found = [n for n in _imports(path) if n.split(".")[0] in {"pickle", "cPickle", "_pickle", "dill", "shelve", "marshal"}]
        assert not found, f"{where} imports {found}: only checkpoint/foreign/unpickle.py may"
    if not where.startswith("checkpoint/"):
        text = ast.unparse(_tree(path))
        found = [call for call in ("torch.load(", "torch.save(", "safe_open(") if call in text]
        assert not found, f"{where} reads or writes weights: {found}"


@_for_every_file
def test_nothing_is_loaded_loosely_or_caught_blindly(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) != "zip":
            loose = [
                k for k in node.keywords if k.arg == "strict" and isinstance(k.value, ast.Constant) and k.value.value is False
            ]
            assert not loose, f"{_name(path)}:{node.lineno}: strict=False"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{_name(path)}:{node.lineno}: bare except"
            wide = ast.unparse(node.type) in {"Exception", "BaseException"}
            assert not (wide and isinstance(node.body[0], ast.Pass)), f"{_name(path)}:{node.lineno}: an error is swallowed"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            assert "Exception" not in [ast.unparse(a) for a in node.args], f"{_name(path)}:{node.lineno}: an error is swallowed"
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert called not in {"eval", "exec", "os.system"}, f"{_name(path)}:{node.lineno}: {called}()"


@_for_every_file
def test_names_and_signatures(path: Path) -> None:
    names = [path.stem]
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.append(node.name)
        if isinstance(node, ast.arg):
            names.append(node.arg)
    bad = [n for n in names if _FORBIDDEN.search(n)]
    assert not bad, f"{_name(path)}: {bad} says nothing; name the thing"
    for function in _public(_tree(path), (ast.FunctionDef,)):
        assert isinstance(function, ast.FunctionDef)
        # `**settings` are fields of a config class, checked by `config.changed`: anything else would hide arguments.
        kwarg = None if function.args.kwarg is None else function.args.kwarg.arg
        assert kwarg in (None, "settings"), f"{_name(path)}: {function.name}(**{kwarg}) hides its arguments"


def _public(node: ast.Module | ast.ClassDef, kinds: tuple[type, ...]) -> Iterator[ast.AST]:
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            if isinstance(child, kinds):
                yield child
            if isinstance(child, ast.ClassDef) and "Protocol" not in map(ast.unparse, child.bases):
                yield from _public(child, kinds)


# What torch and abc prescribe needs no sentence of its own.
_PRESCRIBED = {"forward", "backward", "setup_context"}


@_for_every_file
def test_public_names_have_docstrings(path: Path) -> None:
    tree = _tree(path)
    assert not path.read_text(encoding="utf-8").strip() or ast.get_docstring(tree), f"{_name(path)} has no docstring"
    missing = [
        n.name
        for n in _public(tree, (ast.FunctionDef, ast.ClassDef))
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not ast.get_docstring(n) and n.name not in _PRESCRIBED
    ]
    assert not missing, f"{_name(path)}: no docstring on {missing}"


@_for_every_file
def test_config_fields_have_a_sentence(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    text = ast.unparse(field.annotation)
                    private = ast.unparse(field.target).startswith("_")
                    assert private or "Annotated[" in text, (
                        f"{_name(path)}: {node.name}.{ast.unparse(field.target)} has no sentence"
                    )


def test_files_are_short() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _FILES}
    assert not {n: c for n, c in lengths.items() if c > _MOST_LINES}, f"over {_MOST_LINES} lines: split it"


def _functions(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef):
            yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")


def _is_public(name: str) -> bool:
    return all(part == "__init__" or not part.startswith("_") for part in name.split("."))


def _parameters(function: ast.FunctionDef) -> int:
    a = function.args
    return sum(p.arg not in ("self", "cls") for p in (*a.posonlyargs, *a.args, *a.kwonlyargs))


def test_functions_are_short_and_public_ones_take_few_parameters() -> None:
    over = set()
    for path in _FILES:
        for name, function in _functions(_tree(path)):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if path.parent.name == "verbs" and name == "run":  # its parameters are the command line; of its lines, see below
                continue
            if lines > _LONGEST_FUNCTION or (_is_public(name) and _parameters(function) > _MOST_PARAMETERS):
                over.add(f"{_name(path)}:{name}")
    assert not over, f"over {_LONGEST_FUNCTION} lines, or over {_MOST_PARAMETERS} parameters: split it"


def test_verbs_only_call_the_library() -> None:
    """What a verb does, Python can do too: the body of its `run` calls functions that have the logic."""
    long = {}
    for path in (_SOURCE / "cli" / "verbs").glob("*.py"):
        for name, function in _functions(_tree(path)):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            if name == "run" and lines > _LONGEST_VERB:
                long[path.name] = lines
    assert not long, f"over {_LONGEST_VERB} lines"


def test_messages_of_the_library_name_settings() -> None:
    """Options are what the command line makes of them: `--steps` is said there alone."""
    spoken = re.compile(r"(?<![-\w])(--[a-z][a-z-]+|-o)(?![\w])")
    for path in _FILES:
        # Style sheets write their variables so.
        if _part(path) in ("cli", "__main__", "__init__") or path.parent == _SOURCE / "web" / "page":
            continue
        documents = {id(n.value) for n in ast.walk(_tree(path)) if isinstance(n, ast.Expr)}
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                assert not spoken.search(node.value), f"{_name(path)}:{node.lineno}: {node.value!r} speaks of an option"


# Words that this project used for itself, the second word for an image, and the second spelling of others.
_DIALECT = re.compile(
    r"(?i)\b(pictures?|detail maps?|soft grounds?|plain twins?|likeness|people apart|strangers?|remoteness|wish(es)?|"
    r"in register|colours?|centres?|licences?|stylis\w+|optimis\w+|normalis\w+|regularis\w+|grey)\b"
)


def test_docstrings_and_messages_speak_the_language_of_the_field() -> None:
    """Single words may be keys of files, which stay as they are."""
    for path in _FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                found = _DIALECT.search(re.sub(r"`[^`]*`", "", node.value))
                assert not found, f"{_name(path)}:{node.lineno}: {found[0]!r}: docs/glossary.md has the words to use"


def test_a_file_name_means_one_thing() -> None:
    """Verbs are called what users type, and every room may have its settings in a `config.py`."""
    places: dict[str, list[str]] = {}
    for path in _FILES:
        if path.name not in ("__init__.py", "config.py") and path.parent != _SOURCE / "cli" / "verbs":
            places.setdefault(path.name, []).append(_name(path))
    assert not [names for names in places.values() if len(names) > 1], "name them by what sets them apart"


def _layer_table() -> str:
    return " <\n  ".join(
        "`" + ", ".join(n for n in names if (_SOURCE / n).exists() or (_SOURCE / f"{n}.py").exists()) + "`" for names in _LAYERS
    )


def test_contributing_prints_the_layers() -> None:
    text = " ".join((_REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert " ".join(_layer_table().split()) in text, f"CONTRIBUTING.md says other layers than these:\n{_layer_table()}"


def test_no_heavy_import_at_the_top_of_the_command_line() -> None:
    light = [_SOURCE / f"{n}.py" for n in ("__init__", "__main__", "errors", "runtime", "config", "lazy")]
    light += [*sorted((_SOURCE / "cli").rglob("*.py")), *_SETTINGS]
    heavy = {"torch", "numpy", "PIL", "safetensors", "dlib", "scipy"}
    for path in light:
        found = [n for n in _imports(path, top_only=True) if n.split(".")[0] in heavy]
        assert not found, f"{_name(path)} imports {found} at its top: `mien --help` would wait for it"


def test_settings_are_read_without_torch() -> None:
    """Flags are made from them: importing all of them must not import what computes."""
    modules = [".".join(path.relative_to(_SOURCE.parent).with_suffix("").parts) for path in _SETTINGS]
    heavy = "{'torch', 'numpy', 'PIL', 'safetensors', 'dlib'}"
    done = _fresh(f"import sys, {', '.join(modules)}; print(sorted({heavy} & sys.modules.keys()))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def _fresh(code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(mien.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path}
    )


def test_help_does_not_import_torch_and_is_quick() -> None:
    code = (
        "import sys, time; from mien.cli.app import shell; code = shell(['stylize', '--help']);"
        "print('loaded', sorted({'torch', 'numpy', 'PIL'} & sys.modules.keys()), code, time.process_time())"
    )
    # Processor time, the best of three: the wall clock of a busy machine tells nothing about us.
    seconds = []
    for _ in range(3):
        line = _fresh(code).stdout.splitlines()[-1]
        assert line.startswith("loaded [] 0 "), line
        seconds.append(float(line.split()[-1]))
    assert min(seconds) < 0.5


def test_import_of_the_package_is_free() -> None:
    done = _fresh("import sys, mien; print(sorted({'torch', 'numpy', 'PIL', 'typer', 'rich'} & sys.modules.keys()))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_public_name_exists_and_is_typed() -> None:
    """At the top what most programs need, about thirty names; the rest in subpackages, which `import mien` is enough for."""
    assert (_SOURCE / "py.typed").exists()
    assert dir(mien) == mien.__all__
    assert len(mien.__all__) <= 32
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    typed = _typed(_SOURCE / "__init__.py")
    assert typed == {*mien.__all__, *mien._PACKAGES} - {"__version__"}, "type checkers and programs must see the same names"


@pytest.mark.parametrize("package", mien._PACKAGES)
def test_every_public_name_of_a_subpackage_exists_and_is_typed(package: str) -> None:
    home = getattr(mien, package)
    assert home.__all__ == sorted(home.__all__)
    for name in home.__all__:
        assert getattr(home, name) is not None
        assert name not in mien.__all__, f"{name} has two places"
        module = _SOURCE / package / f"{name}.py"
        assert not module.exists(), f"once {module.name} is imported, mien.{package}.{name} is the module"
    file = _SOURCE / package / "__init__.py"
    assert not file.exists() or {*home.__all__} <= _typed(file)


def _typed(file: Path) -> set[str]:
    """What a package imports for type checkers."""
    return {n.asname for n in ast.walk(_tree(file)) if isinstance(n, ast.alias) and n.asname}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("report_on", "it is mien.evaluation.report_on"),
        ("Model", "it is mien.models.Model"),
        ("Pipeline", "it is called mien.Stylizer"),
        ("stylise", "did you mean mien.stylize?"),
        ("nonsense", "no attribute 'nonsense': begin with mien.stylize"),
    ],
)
def test_a_name_that_is_not_there_tells_where_it_is(name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(told)):
        getattr(mien, name)


def test_other_words_lead_to_names_that_exist() -> None:
    for name in mien._ALSO_CALLED.values():
        found = mien
        for part in name.split(".")[1:]:
            found = getattr(found, part)


def test_nothing_of_others_is_committed() -> None:
    """Weights and images in the tree are ours: only in the places where ours lie."""
    listed = subprocess.run(["git", "ls-files"], cwd=_REPOSITORY, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    binary = [
        n for n in listed.stdout.splitlines() if re.search(r"\.(pt|pth|pkl|npz|zip|safetensors|onnx|tflite|png|jpe?g|webp)$", n)
    ]
    ours = ("src/mien/data/", "examples/", "docs/images/", "tests/data/")
    assert not [n for n in binary if not n.startswith(ours)]


# What is defined once: how a second definition would look, and the one file that has the first.
_ONCE = {
    "latents of a seed": (r"torch\.randn\([^)]*z_dim, generator=(?![^)]*device=)", "models/sampling.py"),
    "bytes of an image": (r"mul\(127\.5\)|/ 127\.5 - 1|div\(127\.5\)", "media/eight_bit.py"),
    "SHA-256 of a file": (r"sha256\((?:path|file)\.read_bytes|total\.update\((?:chunk|block)\)", "files.py"),
    "bands of style": (r"\(4, 8\).*\(16, 32\)", "editing/config.py"),
}


@pytest.mark.parametrize("what", _ONCE)
def test_some_things_are_defined_once(what: str) -> None:
    pattern, home = _ONCE[what]
    places = [_name(path) for path in _FILES if re.search(pattern, path.read_text(encoding="utf-8"))]
    assert places == [home], f"use what {home} has"


@pytest.mark.parametrize("room", sorted(path.parent.name for path in _SOURCE.glob("*/__init__.py")))
def test_the_quick_subset_enters_every_room(room: str) -> None:
    """`pytest -m "not slow"` has a test of every package: one in its folder that neither its file nor itself calls slow."""
    tests = _REPOSITORY / "tests"
    slow = script(tests / "conftest.py")._SLOW
    files = [path for path in (tests / room).glob("test_*.py") if not path.relative_to(tests).as_posix().startswith(slow)]
    functions = [f for path in files for _, f in _functions(_tree(path)) if f.name.startswith("test_")]
    assert [f for f in functions if "pytest.mark.slow" not in map(ast.unparse, f.decorator_list)]
