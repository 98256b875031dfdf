"""The notebook runs from the first cell to the last, has no outputs in it, and needs nothing but mien."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

_NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


def _cells(kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(_NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def test_outputs_are_stripped_and_cells_are_named() -> None:
    for cell in _cells("code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    document = json.loads(_NOTEBOOK.read_text(encoding="utf-8"))
    names = [cell["id"] for cell in document["cells"]]
    assert len(set(names)) == len(names)
    assert document["nbformat"] == 4
    assert "widgets" not in document["metadata"]


def test_pages_that_the_notebook_names_exist() -> None:
    text = "".join("".join(cell["source"]) for cell in _cells("markdown"))
    named = re.findall(r"`(docs/[\w.-]+)`", text)
    assert named
    assert all((_NOTEBOOK.parent.parent / name).is_file() for name in named)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All code cells in one process, as a kernel runs them, with two steps of learning."""
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(_cells("code")):
        text = re.sub(r"\bsteps=\d+", 'steps=2, mixing_latents="mapping"', "".join(cell["source"]))
        text = text.replace("mien.RenderConfig(**settings)", "mien.RenderConfig(**settings, refine_steps=0)")
        text = text.replace("references_aligned=True", "references_aligned=True, refine_steps=0")
        text = text.replace("mien.sample(4,", "mien.sample(2,")
        exec(compile(text, f"{_NOTEBOOK.name}, code cell {number}", "exec"), scope)
    assert (tmp_path / "mine.safetensors").is_file()
    said = capsys.readouterr().out
    assert "step 2 of 2" in said
    table = [line.split() for line in said.splitlines() if line.startswith(("mine", "masked", "no style"))]
    assert len(table) == 3
    assert scope["result"].image.size == (256, 256)
