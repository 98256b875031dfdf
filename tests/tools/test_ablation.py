"""tools/ablation.py on a tiny model: every question is answered, and what is done is not done again."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mien.checkpoint.model_file import write_model
from mien.media.images import from_tensor, read_image, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.pipeline import Stylizer
from toys import script, tiny, tiny_discriminator

pytestmark = pytest.mark.filterwarnings("ignore:To the model", "ignore:The random layers")
R = 64


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return script(Path(__file__).parents[2] / "tools" / "ablation.py")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    generator = tiny(R)
    encoder = CompactEncoder(CompactEncoderConfig(R, generator.num_ws, generator.config.w_dim, width=8, max_width=16))
    write_model(tmp_path / "model.safetensors", Model(generator, tiny_discriminator(R), encoder))
    for name in ("photos/a.png", "photos/b.png", "references/one.png", "references/two.png"):
        smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6) * 2 - 1, (80, 80), mode="bicubic")[0]
        write_image(tmp_path / name, from_tensor(smooth.clamp(-1, 1)))
    return tmp_path


def ask(tool: ModuleType, desk: Path, line: str) -> None:
    given = f"-o {desk}/out --references {desk}/references --photos {desk}/photos --aligned --references-aligned"
    tool.main([*line.split(), *given.split(), "--model", str(desk / "model.safetensors"), "--threads", "1"])


def test_tables_sheets_and_no_work_twice(
    tool: ModuleType, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = tool.USUAL | {"refine": 0}
    monkeypatch.setattr(tool, "USUAL", usual)
    monkeypatch.setattr("mien.checkpoint.feature_network._PACKAGE", "no_such_package")
    ask(tool, desk, "losses presets several --steps 1")
    assert "EfficientNet-Lite1 is left out" in capsys.readouterr().out
    for question in ("losses", "presets", "several"):
        assert read_image(desk / "out" / f"{question}.png").width > 100
        page = (desk / "out" / f"{question}.md").read_text()
        assert "style distance" in page
        numbers = json.loads((desk / "out" / f"{question}.json").read_text())
        assert numbers["steps"] == 1
        assert all("identity" in of for of in numbers["variants"].values())
    losses = json.loads((desk / "out" / "losses.json").read_text())
    assert list(losses["variants"]) == ["discriminator", "pixels", "identity network"]
    assert losses["variants"]["pixels"]["references"] == 2
    several = json.loads((desk / "out" / "several.json").read_text())["variants"]
    assert (several["one reference"]["references"], several["all references"]["references"]) == (2, 1)

    before = {path: path.read_bytes() for path in (desk / "out").glob("*.*")}
    monkeypatch.setattr(Stylizer, "fit", None)  # whatever calls it now fails
    ask(tool, desk, "losses presets several --steps 1")
    assert {path: path.read_bytes() for path in (desk / "out").glob("*.*")} == before
    with pytest.raises(TypeError):
        ask(tool, desk, "losses --steps 2")


def test_a_reference_that_cannot_be_used_is_left_out(
    tool: ModuleType, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "USUAL", tool.USUAL | {"refine": 0})
    monkeypatch.setattr("mien.checkpoint.feature_network._PACKAGE", "no_such_package")  # the discriminator measures as well
    (desk / "references" / "three.png").write_bytes(b"no image")
    ask(tool, desk, "color --steps 1")
    assert "three" in capsys.readouterr().out
    numbers = json.loads((desk / "out" / "color.json").read_text())
    assert all(of["references"] == 2 for of in numbers["variants"].values())
    assert len(numbers["variants"]) == 4
    ask(tool, desk, "spaces --quick --steps 1")
    quick = json.loads((desk / "out" / "spaces.json").read_text())
    assert quick["references"] == ["one", "three"]


def test_every_variant_is_made_of_known_options(tool: ModuleType) -> None:
    known = {"reference_inverter", "inverter", "fidelity", "refine_steps", tool.TOGETHER}
    known |= {field.name for field in tool.fields(tool.OneShotConfig)}
    for question in tool.QUESTIONS:
        for options in tool.variants_of(question, 128).values():
            assert set(options) <= known


def test_an_unknown_question_is_refused(tool: ModuleType, desk: Path) -> None:
    with pytest.raises(SystemExit):
        ask(tool, desk, "meaning")
