"""A fine-tuned model used as a style: inverted with the source, rendered with the target."""

import copy
from pathlib import Path

import pytest
import torch

from mien.checkpoint.model_file import generator_digest, read_model, write_model
from mien.editing.layer_swap import swap_layers
from mien.errors import CheckpointError, ModelMismatchError
from mien.latents import broadcast
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance
from mien.oneshot.deltas import apply_deltas
from mien.styles import Style, model_style, open_style


def make(seed: int, base: str = "", resolution: int = 16) -> Model:
    torch.manual_seed(seed)
    generator = Generator(GeneratorConfig(resolution, 8, 8, 2, channel_base=64, channel_max=8)).eval().requires_grad_(False)
    told = Provenance(f"m{seed}", "ours", digest=generator_digest(generator), base=base)
    return Model(generator, provenance=told)


def fine_tuned(source: Model) -> Model:
    target = copy.deepcopy(source)
    for p in target.generator.parameters():
        p.data += 0.1 * torch.randn(p.shape)
    target.provenance = Provenance("cartoon", "ours", images_seen=5, base=source.provenance.digest)
    return target


def test_renders_codes_of_the_source_with_the_target() -> None:
    source = make(1)
    target = fine_tuned(source)
    style = model_style(source, target, "cartoon")
    assert style.base == source.provenance.digest
    assert style.thumbnail.shape == (3, 96, 96)
    codes = broadcast(source.generator.mapping(torch.randn(2, 8)), 6)
    noise = source.generator.synthesis.noise("const")
    styled = apply_deltas(source.generator.synthesis, style.deltas)
    found, wanted = styled.synthesize(styled.styles(codes), noise), target.generator(codes, noise)
    assert torch.allclose(found, wanted, atol=0.02)
    assert not torch.allclose(found, source.generator(codes, noise), atol=0.1)


def test_a_file_is_opened_for_what_it_is(tmp_path: Path) -> None:
    source = make(1)
    target = fine_tuned(source)
    write_model(tmp_path / "cartoon.safetensors", target)
    model_style(source, target, "saved").save(tmp_path / "style.safetensors")
    assert open_style(tmp_path / "cartoon.safetensors", source).name == "cartoon"
    style = open_style(tmp_path / "style.safetensors", source)
    assert style.name == "saved"
    assert isinstance(style, Style)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        open_style(tmp_path / "x.safetensors", source)


def test_another_source_or_shape_is_refused() -> None:
    source, other = make(1), make(2)
    with pytest.raises(ModelMismatchError, match="fine-tuned from another model"):
        model_style(other, fine_tuned(source), "cartoon")
    with pytest.raises(ModelMismatchError, match="another shape"):
        model_style(make(1, resolution=32), make(1), "cartoon")


def test_swapped_models_name_the_source_in_both_directions(tmp_path: Path) -> None:
    source = make(1)
    target = fine_tuned(source)
    for model in (swap_layers(source, target, 16), swap_layers(target, source, 16)):
        write_model(tmp_path / "swapped.safetensors", model)
        assert read_model(tmp_path / "swapped.safetensors").provenance.base == source.provenance.digest
        assert open_style(tmp_path / "swapped.safetensors", source).deltas


def test_a_swapped_model_wants_photos_as_its_encoder_learned_them(tmp_path: Path) -> None:
    soft, plain = make(1), make(1)
    soft.blurred_background = True
    assert swap_layers(soft, plain, 16).blurred_background
    assert not swap_layers(plain, soft, 16).blurred_background
    assert swap_layers(plain, soft, 16, mapping="high").blurred_background
    write_model(tmp_path / "soft.safetensors", swap_layers(soft, plain, 16))
    assert read_model(tmp_path / "soft.safetensors").blurred_background
