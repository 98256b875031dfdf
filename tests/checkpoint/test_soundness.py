"""Numbers that are not finite, and networks that do not belong together: refused when loaded, and said by `inspect`."""

import copy
from pathlib import Path

import pytest
import torch

from mien.checkpoint import inspect_file, load_model, save_model
from mien.checkpoint.model_file import read_model, write_model
from mien.checkpoint.regions_file import Regions
from mien.checkpoint.state import read_state, write_state
from mien.errors import CheckpointError, ModelMismatchError
from mien.latents import style_layers
from mien.models.model import Model
from mien.styles import Style
from toys import tiny, tiny_discriminator

_BROKEN = r"not finite \(first in {}\)"
_BAD = pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])


def _model() -> Model:
    return Model(tiny(), tiny_discriminator())


@_BAD
@pytest.mark.parametrize("part", ["generator", "discriminator"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_models_are_refused_by_the_first_tensor(tmp_path: Path, bad: float, part: str, suffix: str) -> None:
    model, name = _model(), "synthesis.b8.conv0.weight" if part == "generator" else "b8.conv0.weight"
    model.networks()[part].state_dict()[name][0] = bad
    path = tmp_path / f"model{suffix}"
    save_model(path, model)
    with pytest.raises(CheckpointError, match=_BROKEN.format(name)):
        load_model(path)
    said = inspect_file(path).warnings
    assert any(part in text and name in text and "not finite" in text for text in said), said


def test_our_own_reader_of_models_refuses_them_too(tmp_path: Path) -> None:
    model = _model()
    model.generator.mapping.w_avg[0] = float("nan")
    write_model(tmp_path / "m.safetensors", model)
    with pytest.raises(CheckpointError, match=_BROKEN.format("mapping.w_avg")):
        read_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("judged", [16, 64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_discriminator_of_another_size(tmp_path: Path, judged: int, suffix: str) -> None:
    path = tmp_path / f"mixed{suffix}"
    save_model(path, Model(tiny(32), tiny_discriminator(judged)))
    sentence = f"discriminator is for images of {judged} px, and its generator draws 32 px"
    with pytest.raises(CheckpointError, match=sentence):
        load_model(path)
    assert sentence in " ".join(inspect_file(path).warnings)


def _style(gap: float = 0.5) -> Style:
    gaps = {"b8.conv0.weight": torch.full_like(tiny().synthesis.b8.conv0.weight, gap).half()}
    return Style("toy", "0" * 16, 32, gaps, torch.zeros(3, 96, 96, dtype=torch.uint8), {"references": ["a.png"]})


@_BAD
def test_styles(tmp_path: Path, bad: float) -> None:
    _style(bad).save(tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match=_BROKEN.format("b8.conv0.weight")):
        Style.load(tmp_path / "s.safetensors")
    assert "not finite" in " ".join(inspect_file(tmp_path / "s.safetensors").warnings)


@pytest.mark.parametrize("shape", [(3, 96, 100), (3, 0, 0), (1, 96, 96), (3, 96), (3, 96, 96 * 9), (3, 2000, 2000)])
def test_thumbnails_are_rows_of_squares(tmp_path: Path, shape: tuple[int, ...]) -> None:
    style = _style()
    style.thumbnail = torch.zeros(shape, dtype=torch.uint8)
    style.save(tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match="damaged style file"):
        Style.load(tmp_path / "s.safetensors")


def _regions() -> Regions:
    generator = tiny(32)
    layers = [layer.name for layer in style_layers(32)]
    widths = {name: len(generator.synthesis.layer(name).affine.weight) for name in layers}
    return Regions(
        "0" * 16, ("eyes", "skin"), 32, torch.ones(3, generator.config.channels(32)), torch.tensor([0, 1, 1]),
        torch.full((2, 32, 32), 0.5), {name: torch.full((2, width), 0.5) for name, width in widths.items()},
    )  # fmt: skip


@pytest.mark.parametrize(("attribute", "name"), [("centers", "centres"), ("place", "place")])
def test_regions_that_are_not_finite(tmp_path: Path, attribute: str, name: str) -> None:
    regions = _regions()
    getattr(regions, attribute)[0] = float("nan")
    regions.save(tmp_path / "r.safetensors")
    with pytest.raises(CheckpointError, match=_BROKEN.format(name)):
        Regions.load(tmp_path / "r.safetensors")


def test_regions_fit_their_generator_or_are_refused() -> None:
    generator, regions = tiny(32), _regions()
    regions.check_fits(generator, "0" * 16)
    with pytest.raises(ModelMismatchError, match="another model"):
        regions.check_fits(generator, "1" * 16)
    narrow = copy.deepcopy(regions)
    object.__setattr__(narrow, "centers", torch.ones(3, 2))
    lacking = copy.deepcopy(regions)
    del lacking.membership["4rgb"]  # type: ignore[attr-defined]
    for broken in (narrow, lacking):
        with pytest.raises(ModelMismatchError, match="other channels"):
            broken.check_fits(generator, "0" * 16)


@_BAD
def test_states(tmp_path: Path, bad: float) -> None:
    write_state(tmp_path, {"a": torch.ones(3), "b": torch.tensor([1.0, bad])}, {})
    with pytest.raises(CheckpointError, match=_BROKEN.format("b")):
        read_state(tmp_path)
