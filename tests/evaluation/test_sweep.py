"""`mien sweep`: methods side by side, resumable, on one sheet."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.checkpoint.model_file import read_model, write_model
from mien.cli.app import shell
from mien.config import from_toml
from mien.errors import InputError
from mien.evaluation.transfer import Kept, layout_features, structure_kept
from mien.evaluation.variants import parse_variant
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance
from mien.training.config import TrainConfig
from mien.training.freeze import method


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and a small model, and the place to be."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "cartoons").mkdir()
    for i in range(3):
        Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "cartoons" / f"{i}.png")
    torch.manual_seed(0)
    g = GeneratorConfig(16, 8, 8, 2, channel_base=64, channel_max=8)
    model = Model(Generator(g), Discriminator(DiscriminatorConfig(16, 64, 8, mbstd_group=2)), None, Provenance("faces"))
    write_model(tmp_path / "faces.safetensors", model)
    return tmp_path


def test_methods_take_their_number_of_blocks() -> None:
    assert parse_variant("structure", 64).plan == method("structure", 64)
    assert parse_variant(" structure:1 ", 64).plan.structure == 1
    assert parse_variant("structure:1", 64).name == "structure-1"
    found = parse_variant("freeze-sg:2", 64).plan
    assert (found.freeze_g, found.freeze_styles, found.freeze_d) == (2, 2, 2)
    assert parse_variant("freeze-g:1", 64).plan.freeze_g == 1
    assert parse_variant("baseline:0", 64).plan.freeze_d == 0
    for text in ("structure:x", "structure:", "nothing"):
        with pytest.raises(InputError):
            parse_variant(text, 64)


def test_a_sweep_trains_each_and_draws_one_sheet(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "sweep cartoons --from faces.safetensors --kimg 0.008 --batch 4 --methods freeze-sg:1,structure:1 -o out --device cpu"
    )
    assert shell([*words.split(), "--cuts", "16px", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["written"][0]["methods"] == {"freeze-sg-1": 8, "structure-1": 8}
    assert from_toml(TrainConfig, desk / "out" / "freeze-sg-1" / "config.toml").plan.freeze_styles == 1
    a, b = (read_model(desk / "out" / name / "model.safetensors").generator for name in ("freeze-sg-1", "structure-1"))
    source = read_model(desk / "faces.safetensors").generator
    assert torch.equal(a.synthesis.block(4).conv1.weight, source.synthesis.block(4).conv1.weight)
    assert not torch.equal(b.synthesis.block(4).conv1.weight, source.synthesis.block(4).conv1.weight)
    with Image.open(desk / "out" / "sheet.png") as sheet:
        assert sheet.height >= 5 * 16  # the source, two methods, and a swap of each
    # Again, with a method more: what is complete is left alone.
    before = (desk / "out" / "structure-1" / "state" / "state.json").stat().st_mtime_ns
    assert shell([*words.replace("freeze-sg:1", "freeze-sg:1,baseline").split(), "--quiet"]) == 0
    assert (desk / "out" / "structure-1" / "state" / "state.json").stat().st_mtime_ns == before
    assert (desk / "out" / "baseline" / "model.safetensors").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--methods structure,structure", "same"),
        ("--methods structure:9", "structure is 9"),
        ("--methods magic", "no method"),
        ("--cuts 5px", "no cut at 5 px"),
        ("--cuts a", "Block sizes are written as 32px"),
    ],
)
def test_refusals(desk: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str) -> None:
    line = f"sweep cartoons --from faces.safetensors --kimg 0.004 --batch 4 -o out --device cpu {words}"
    assert shell(line.split()) == 2
    assert sentence in capsys.readouterr().err


def test_minutes_each_stops_and_goes_on(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "sweep cartoons --from faces.safetensors --kimg 0.004 --batch 4 --methods baseline,freeze-g:1 -o out --device cpu"
    words = line.split()
    assert shell([*words, "--max-minutes", "0"]) == 0
    assert "not all methods are complete" in capsys.readouterr().err
    assert shell(words) == 0
    assert "not all" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_measures_nearness_and_structure(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    for i in range(3, 9):
        Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(desk / "cartoons" / f"{i}.png")
    words = (
        "sweep cartoons --from faces.safetensors --kimg 0.008 --batch 4 --methods structure:1 --cuts 16px -o out --device cpu"
    )
    assert shell([*words.split(), "--features", "discriminator", "--samples", "100", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["written"][1]["rows"]
    assert [row["name"] for row in rows] == ["source", "structure-1", "structure-1, swapped at 16 px"]
    assert rows[0]["kept"]["structure"] == pytest.approx(1.0)
    assert rows[1]["kept"]["structure"] <= rows[2]["kept"]["structure"] <= 1
    assert all(row["frechet"] > 0 for row in rows)
    table = (desk / "out" / "table.md").read_text()
    assert table.count("\n") == 6
    assert "0.250 by chance" in table  # half of nine images
    assert shell([*words.split(), "--features", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_structure_kept_ignores_color_and_what_all_faces_share() -> None:
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.randn(12, 3, 8, 8), (64, 64), mode="bicubic").clamp(-1, 1)
    features = layout_features(images)
    assert structure_kept(features, features) == Kept(pytest.approx(1.0), 1.0)
    tinted = layout_features(-0.5 * images + 0.2)  # a negative has the same edges
    assert structure_kept(features, tinted).structure > 0.9
    assert structure_kept(features, features.roll(1, 0)).structure < 0.1
    assert structure_kept(features, features.roll(1, 0)).found == 0
    assert structure_kept(features, features[:1].expand_as(features)).structure == 0
    moved = layout_features(images.roll(4, dims=3))
    assert structure_kept(features, moved).structure < 0.7
    with pytest.raises(ValueError, match="square"):
        layout_features(torch.zeros(1, 3, 64, 32))
