"""Every command and code block of the documentation runs, in the order in which a reader meets it.

Each page gets a folder of its own with the files that it speaks of. Commands run in this process, and fine-tuning is cut to one
step: what is tested is that the words are right. A block marked `no-run` says why in its first line.
"""

import importlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageOps

import mien
from mien.cli import app
from mien.cli.app import shell
from toys import program

_REPOSITORY = Path(__file__).parent.parent
_EXAMPLES = _REPOSITORY / "examples"
_PAGES = [_REPOSITORY / name for name in ("README.md", "MODEL_CARD.md", "CONTRIBUTING.md", "CHANGELOG.md")]
_PAGES += sorted((_REPOSITORY / "docs").glob("**/*.md"))
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_READABLE = {"sh", "bash", "python", "text", "bibtex"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else stands behind the fence, its text."""

    language: str
    marks: tuple[str, ...]
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for info, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        words = info.split()
        found.append(Block(words[0] if words else "", tuple(words[1:]), text))
    return found


def first_commands() -> list[str]:
    """The lines of the README's first sh block."""
    return next(b.text for b in blocks(_PAGES[0]) if b.language == "sh").strip().splitlines()


def test_the_first_block_is_two_lines_that_set_up_run_and_test() -> None:
    assert blocks(_PAGES[0])[0].language == "sh"
    assert len([b for b in blocks(_PAGES[0]) if b.language == "sh"]) == 1
    job, tests = first_commands()
    setup = "python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 "
    assert job.startswith(setup)
    assert tests.startswith(setup)
    words = shlex.split(job.split("&&")[-1])
    assert words[0] == ".venv/bin/mien"
    for name in words:
        if name.startswith("examples/"):
            assert (_REPOSITORY / name).is_file(), f"{name} does not ship with the project"
    from mien.shipped import EMBEDDED_MODEL

    assert EMBEDDED_MODEL.is_file(), "the embedded model does not ship with the project"
    assert "--overwrite" in words, "the line must work a second time"
    verb = words[1]
    program().commands[verb].make_context(verb, words[2:])
    assert tests.split("&&")[-1].strip().startswith(".venv/bin/python -m pytest")


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = (_REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert "pytest" not in script.replace("# ", ""), "the test command stands in the README alone"
    for tool in ("ruff check", "ruff format --check", "mypy --strict"):
        assert tool in script


def _tool(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_REPOSITORY / "tools"))
    return importlib.import_module(name)


def test_the_gallery_is_what_its_tool_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _tool("make_gallery", monkeypatch)
    written = {path.name: path.read_text(encoding="utf-8") for path in tool.PAGES.glob("*.md")}
    assert written == tool.pages(), "run: python tools/make_gallery.py"


def test_the_page_of_commands_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _tool("commands_page", monkeypatch)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run: python tools/commands_page.py"


def test_the_page_of_the_api_is_what_the_docstrings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _tool("api_page", monkeypatch)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run: python tools/api_page.py"
    listed = [name for names in tool.SECTIONS.values() for name in names]
    assert sorted([*listed, "__version__"]) == mien.__all__, "every name at the top belongs to one section"
    headings = re.findall(r"^### mien\.(\S+)$", tool.page(), re.MULTILINE)
    expert = [f"{package}.{name}" for package in mien._PACKAGES for name in getattr(mien, package).__all__]
    assert sorted(headings) == sorted([*listed, *expert]), "every name of a subpackage is on the page too"


def _anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            name, _, anchor = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in _anchors(linked), f"{page.name} links to {target}: there is no such heading"


def test_every_page_is_within_reach_of_the_readme() -> None:
    seen, waiting = set(), [_PAGES[0]]
    while waiting:
        page = waiting.pop().resolve()
        if page not in seen:
            seen.add(page)
            links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
            waiting += [page.parent / link for link in links if not link.startswith("http")]
    assert not {page.resolve() for page in _PAGES} - seen


def _commands(page: Path) -> list[list[str]]:
    """Every command of ours on a page, also of blocks that are not run."""
    lines = [line for block in blocks(page) if block.language in {"sh", "bash"} for line in _joined(block.text)]
    words = [shlex.split(line.split("&&")[-1], comments=True) for line in lines]
    return [w[w.index("mien") + 1 :] for w in words if "mien" in w]


def _joined(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: p.name)
def test_every_option_that_a_page_shows_exists(page: Path) -> None:
    for words in _commands(page):
        if words[0] in app.VERBS:
            verb = program().commands[words[0]]
            known = {name for parameter in verb.params for name in (*parameter.opts, *parameter.secondary_opts)}
            unknown = [w for w in words if w.startswith("-") and w.split("=")[0] not in known]
            assert not unknown, f"{page.name}: mien {words[0]} has no {unknown}"


def test_every_option_that_the_text_names_exists() -> None:
    """In running text any verb's will do, and those of the tools."""
    known = {"--help", "--help-all", "--version", "--debug", "--install-completion"}
    known |= {
        "--dist",
        "--index-url",
        "--nproc-per-node",
        "--check",
        "--strict",
        "--no-warn-unused-ignores",
    }  # of pytest, pip, torchrun, ruff and mypy
    for verb in program().commands.values():
        known |= {name for parameter in verb.params for name in (*parameter.opts, *parameter.secondary_opts)}
    told = "".join(path.read_text(encoding="utf-8") for path in (_REPOSITORY / "tools").glob("*.py"))
    known |= set(re.findall(r'"(--[a-z-]+)"', told)) | {f"--no-{name[2:]}" for name in known}
    for page in _PAGES:
        if page.name not in {"CHANGELOG.md", "api.md"}:
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", page.read_text(encoding="utf-8")))
            assert not named - known, page.name


def test_the_architecture_page_names_files_that_exist() -> None:
    text = (_REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    there = {path.name for room in ("src", "tests", "tools", "examples") for path in (_REPOSITORY / room).rglob("*.py")}
    assert not set(re.findall(r"\b\w+\.py\b", text)) - there


def test_the_architecture_page_names_every_package() -> None:
    text = (_REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    there = {
        path.stem
        for path in (_REPOSITORY / "src" / "mien").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert not {name for name in there if not name.startswith("__")} - set(re.findall(r"`(\w+)`", text))


def test_the_glossary_has_the_words_of_the_project() -> None:
    """Its terms are sorted, said in one line each, and those that options and settings are named after are there."""
    text = (_REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)[1:]
    terms = [term for term, _ in rows]
    assert terms == sorted(terms, key=str.lower)
    wanted = "strength fidelity refinement mask seed psi style reference inversion encoder landmarks upscaling noise"
    assert not {*wanted.split(), "feature code", "style-mixing latents", "weight deltas", "out-of-distribution score"} - {
        *terms
    }


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: p.name)
def test_pages_speak_the_language_of_the_field(page: Path) -> None:
    """Words that this project used for itself, and the second spelling of others."""
    dialect = (
        r"detail maps?|soft grounds?|plain twins?|likeness|people apart|looks apart|strangers?|remoteness|layout loss|"
        r"colou?red ground|colours?|licen[c]es?|centres?|pictures?|in register|anew|"
        r"stylis\w+|optimis\w+|normalis\w+|recognis\w+|grey"
    )
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    assert not re.findall(rf"\b(?:{dialect})\b", text, re.IGNORECASE), f"{page.name}: docs/glossary.md has the words to use"


@pytest.mark.parametrize("page", _PAGES, ids=lambda p: p.name)
def test_blocks_are_marked(page: Path) -> None:
    for block in blocks(page):
        assert block.language in _READABLE, f"{page.name}: a block of kind '{block.language}' is neither run nor plain text"
        if "no-run" in block.marks:
            assert block.text.startswith("# Not run by the tests: "), f"{page.name}: a no-run block must say why"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of, as current folder."""
    from mien.shipped import EMBEDDED_MODEL

    if not (_EXAMPLES / "face.png").exists() or not EMBEDDED_MODEL.exists():
        pytest.skip("the embedded model and its example images are not there yet")
    face = Image.open(_EXAMPLES / "face.png").convert("RGB")
    face.save(tmp_path / "crop.png")
    for name in ("me.jpg", "photos/anna.jpg", "photos/bert.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        face.save(tmp_path / name, quality=95)
    ink = Image.open(_EXAMPLES / "ink.png").convert("RGB")
    ink.save(tmp_path / "reference.png")
    ink.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "another.png")
    face.save(tmp_path / "dance.gif", save_all=True, append_images=[ImageOps.mirror(face)], duration=100)
    for name in ("faces", "cartoon"):
        shutil.copy(EMBEDDED_MODEL, tmp_path / f"{name}.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _film(path: Path, photo: Path) -> None:
    """Two frames of a photo as a video; skips the test where PyAV is not there (Python 3.10)."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        frame = av.VideoFrame.from_image(Image.open(photo).resize((256, 256)))
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for packets in (stream.encode(frame), stream.encode(frame), stream.encode()):
            container.mux(packets)


# What takes long and is not what the pages are about, where they do not speak of it themselves.
_LITTLE_LEARNING = {"--reference-views": "1", "--distribution-weight": "0"}


def _shortened(words: list[str]) -> list[str]:
    """The same command with little to learn, to refine, to upscale and to draw."""
    if words[0] in {"stylize", "fit"}:
        words = _with(words, "--steps", "1")
        words += [word for option in _LITTLE_LEARNING.items() if option[0] not in words for word in option]
    if words[0] in {"stylize", "apply", "evaluate"} or "--refine" in words:
        words = _with(words, "--refine", "1")
    if words[0] in {"stylize", "apply"} and "--upscale" not in words:
        words += ["--upscale", "none"]
    return _with(words, "-n", "2") if "-n" in words else words


def _with(words: list[str], option: str, value: str) -> list[str]:
    if option not in words:
        return [*words, option, value]
    at = words.index(option) + 1
    return [*words[:at], value, *words[at + 1 :]]


def runs(block: Block) -> bool:
    """Whether the tests run it."""
    return block.language in {"bash", "python"} and not {"no-run", "curl"} & {*block.marks}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in _PAGES if any(map(runs, blocks(page)))], ids=lambda p: p.name)
def test_every_block_runs(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "me.mp4" in page.read_text(encoding="utf-8"):
        _film(desk / "me.mp4", desk / "me.jpg")
    for block in filter(runs, blocks(page)):
        if block.language == "bash":
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    assert words[0] == "mien", f"{page.name}: `{line}` is no command of ours: mark its block no-run"
                    if words[1] == "bench":  # parsed alone: cli/test_verbs.py and training/test_filter_choice.py run it
                        program().commands["bench"].make_context("bench", words[2:])
                        continue
                    assert shell(_shortened(words[1:])) == 0, f"{page.name}: `{line}` failed: {capsys.readouterr().err}"
        else:
            text = re.sub(r"\bsteps=\d+", "steps=1", block.text)
            exec(compile(text, f"{page.name} block", "exec"), {"__name__": "__main__"})
    # Nothing appears outside of the reader's folder.
    assert Path(os.getcwd()) == desk
