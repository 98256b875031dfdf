"""tools/compare_methods.py on a tiny model: sheets, table, and a study whose votes can be counted."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mien.checkpoint.model_file import write_model
from mien.evaluation.votes import count_votes
from mien.media.images import from_tensor, read_image, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.render_config import RenderConfig
from toys import script, tiny, tiny_discriminator

pytestmark = pytest.mark.filterwarnings("ignore:.*far from a face", "ignore:The random layers")
R = 64


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return script(Path(__file__).parents[2] / "tools" / "compare_methods.py")


def test_the_methods_are_the_default_and_the_published_loop(tool: ModuleType) -> None:
    found = tool.methods(7)
    assert found["mien"].render == RenderConfig()
    assert (found["mien"].one_shot.space, found["mien"].one_shot.mirror) == ("s", True)
    published = found["published"]
    assert (published.one_shot.space, published.one_shot.feature_code, published.render.fidelity) == ("w_plus", 0.0, 0.0)
    assert {method.one_shot.steps for method in found.values()} == {7}
    assert tool.methods(None)["mien"].one_shot.steps != 7


def test_sheets_table_and_study(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    generator = tiny(R)
    encoder = CompactEncoder(CompactEncoderConfig(R, generator.num_ws, generator.config.w_dim, width=8, max_width=16))
    write_model(tmp_path / "model.safetensors", Model(generator, tiny_discriminator(R), encoder))
    for name in ("photos/a.png", "photos/b.png", "references/one.png", "references/two.png"):
        smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6) * 2 - 1, (80, 80), mode="bicubic")[0]
        write_image(tmp_path / name, from_tensor(smooth.clamp(-1, 1)))
    words = f"-o {tmp_path}/out --references {tmp_path}/references --photos {tmp_path}/photos --aligned --references-aligned"
    given = [*words.split(), "--model", f"{tmp_path}/model.safetensors", "--steps", "1", "--threads", "1"]
    tool.main([*given, "--features", "discriminator"])
    out = tmp_path / "out"
    page = (out / "table.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert "2 references, 2 photos" in page
    numbers = json.loads((out / "table.json").read_text(encoding="utf-8"))
    both = [numbers["each"][name]["mien"]["identity"]["mean"] for name in ("one", "two")]
    assert numbers["methods"]["mien"]["identity"] == pytest.approx(sum(both) / 2)
    assert all(of["learning"] > 0 and of["seconds"] > 0 for of in numbers["methods"].values())
    assert read_image(out / "one.png").width > 300
    # Four pairs, each side twice; the crops are what the key says.
    key = json.loads((out / "study" / ".key.json").read_text(encoding="utf-8"))
    assert sorted(pair["photo"] for pair in key["pairs"].values()) == ["one--a.png", "one--b.png", "two--a.png", "two--b.png"]
    assert [pair["A"] for pair in key["pairs"].values()].count("mien") == 2
    votes = "".join(f"{number},{'A' if pair['A'] == 'mien' else 'B'}\n" for number, pair in key["pairs"].items())
    (out / "study" / "votes.csv").write_text(f"pair,vote\n{votes}", encoding="utf-8")
    assert (count_votes(out / "study").wins, count_votes(out / "study").losses) == (4, 0)
    with pytest.raises(SystemExit):
        tool.main(given)  # nothing is overwritten unasked
