"""The inversions: each method does what its name says, on a tiny random model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.checkpoint.face_networks import read_identity_network
from mien.errors import InputError, ModelMismatchError
from mien.evaluation.comparison import Way, compare_inverters, usual_ways, write_comparison
from mien.evaluation.evaluate import open_instruments
from mien.faces import AlignConfig
from mien.faces.feature_strength import eyes
from mien.inversion import METHODS, Codes, InvertConfig, Method, invert, mean_code
from mien.inversion.config import RefineConfig
from mien.inversion.density import CodeDensity, mapped_codes, to_p
from mien.inversion.encode import encode
from mien.inversion.optimize import AboveFeatureCode, refine
from mien.latents import broadcast
from mien.losses.features import feature_distance
from mien.media.images import from_tensor, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from toys import tiny, tiny_discriminator

R = 32


def small_model(*, feature_code: bool = False) -> Model:
    torch.manual_seed(0)
    generator, discriminator = tiny(R).requires_grad_(False).eval(), tiny_discriminator(R).requires_grad_(False)
    channels = generator.config.channels(8) if feature_code else 0
    shape = CompactEncoderConfig(R, 8, 16, width=8, max_width=16, detail_channels=channels, detail_resolution=8)
    encoder = CompactEncoder(shape).requires_grad_(False).eval()
    encoder.out.weight.mul_(5)
    if feature_code:
        encoder.detail.out.weight.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
    return Model(generator, discriminator, encoder)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="module")
def images(model: Model) -> torch.Tensor:
    return faces(model, mapped_codes(model.generator, 2, seed=9))


def faces(model: Model, w: torch.Tensor) -> torch.Tensor:
    generator = model.generator
    return generator(broadcast(w, generator.num_ws), generator.synthesis.noise("const")).clamp(-1, 1)


def gap(model: Model, codes: Codes, images: torch.Tensor) -> float:
    drawn = model.generator(codes.w_plus, model.generator.synthesis.noise("const"), feature_code=codes.feature_code)
    return float((drawn - images).abs().mean())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_alone_as_in_a_batch(method: Method, model: Model, images: torch.Tensor) -> None:
    steps = None if method in ("encoder", "mean") else 3
    together = invert(model, images, InvertConfig(method, steps))
    assert together.w_plus.shape == (2, 8, 16)
    assert together.feature_code is None
    alone = invert(model, images[1:], InvertConfig(method, steps))
    assert torch.allclose(alone.w_plus, together.w_plus[1:], atol=1e-4)


def test_encoder_and_mean_are_what_they_were(model: Model, images: torch.Tensor) -> None:
    assert torch.equal(invert(model, images).w_plus, encode(model, images).w_plus)
    assert torch.equal(invert(model, images, InvertConfig("mean")).w_plus, mean_code(model, 2))
    refined = invert(model, images, refine_steps=4)
    assert refined.feature_code is not None
    same = refine(model, images, encode(model, images), RefineConfig(steps=4))
    assert torch.equal(refined.w_plus, same.w_plus)
    assert invert(model, images, InvertConfig(feature_code=False), refine_steps=4).feature_code is None


def test_optimization_comes_nearer_in_w_and_nearer_still_in_w_plus(model: Model, images: torch.Tensor) -> None:
    found = {name: invert(model, images, InvertConfig(name, 60)) for name in ("w", "w+")}  # type: ignore[arg-type]
    assert torch.equal(found["w"].w_plus, found["w"].w_plus[:, :1].expand(-1, 8, -1))
    assert not torch.equal(found["w+"].w_plus[:, 0], found["w+"].w_plus[:, 1])
    start = invert(model, images, InvertConfig("w", 0))
    assert gap(model, found["w"], images) < gap(model, start, images)
    assert gap(model, found["w+"], images) < gap(model, encode(model, images), images)


def test_the_prior_holds_the_code_where_codes_are(model: Model, images: torch.Tensor) -> None:
    density = CodeDensity.of(mapped_codes(model.generator, 2000))
    free, held = (invert(model, images, InvertConfig(name, 60)) for name in ("w+", "prior"))  # type: ignore[arg-type]
    assert float(density.out(held.w_plus).mean()) < float(density.out(free.w_plus).mean())
    numbers = RefineConfig(steps=60, prior=0, feature_code_resolution=0, density=1e-9)
    loose = refine(model, images, encode(model, images), numbers)
    assert float(density.out(held.w_plus).mean()) < float(density.out(loose.w_plus).mean())


def test_the_density_is_about_one_for_mapped_codes_and_grows_with_the_square(model: Model) -> None:
    w = mapped_codes(model.generator, 2000, seed=3)
    density = CodeDensity.of(mapped_codes(model.generator, 2000))
    assert 0.7 < float(density.out(w[:, None]).mean()) < 1.3
    p = density.center + 2 * (to_p(w[:5]) - density.center)
    further = torch.where(p < 0, p / 5, p)
    assert torch.allclose(density.out(further[:, None]), 4 * density.out(w[:5, None]), rtol=1e-3)
    assert CodeDensity.of(w, 3).whitening.shape == (16, 3)


class _Brightness(CompactEncoder):
    """An encoder that sees brightness alone, and says too little: `code` + a third of the way that would make it."""

    way: torch.Tensor
    usual: torch.Tensor

    def look(
        self, image: torch.Tensor, code: torch.Tensor, rendering: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        return code + (image.mean(dim=(1, 2, 3)) - self.usual)[:, None, None] * self.way, None


def test_iteration_corrects_an_encoder_that_says_too_little() -> None:
    model = small_model()
    generator = model.generator

    def brightness(w_plus: torch.Tensor) -> torch.Tensor:
        return generator(w_plus, generator.synthesis.noise("const")).clamp(-1, 1).mean(dim=(1, 2, 3))

    mean = mean_code(model).requires_grad_(True)
    (gradient,) = torch.autograd.grad(brightness(mean).sum(), mean)
    encoder = _Brightness(CompactEncoderConfig(R, 8, 16, width=8, max_width=16))
    encoder.way, encoder.usual = gradient / gradient.square().sum() / 3, brightness(mean).detach()
    model.encoder = encoder
    wanted = mean.detach() + 0.05 * gradient / gradient.square().sum()
    image, goal = generator(wanted, generator.synthesis.noise("const")).clamp(-1, 1), brightness(wanted)
    rounds = (0, 1, 4, 12)
    off = [float((brightness(invert(model, image, InvertConfig("iterated", n)).w_plus) - goal).abs()) for n in rounds]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 0.2 * off[0]
    usual = invert(model, image, InvertConfig("iterated"))
    assert torch.equal(usual.w_plus, invert(model, image, InvertConfig("iterated", 5)).w_plus)
    assert torch.equal(invert(model, image, InvertConfig("iterated", 0)).w_plus, encode(model, image).w_plus)


def test_iteration_corrects_the_feature_code_too_unless_it_is_not_wanted(images: torch.Tensor) -> None:
    detailed = small_model(feature_code=True)
    once, more = invert(detailed, images), invert(detailed, images, InvertConfig("iterated", 3))
    assert once.feature_code is not None
    assert more.feature_code is not None
    assert not torch.equal(once.feature_code, more.feature_code)
    plain = invert(detailed, images, InvertConfig("iterated", 3, feature_code=False))
    assert plain.feature_code is None
    assert not torch.equal(plain.w_plus, more.w_plus)  # corrected for what the code alone draws


def test_a_blend_goes_from_the_answer_to_the_mean(images: torch.Tensor) -> None:
    detailed = small_model(feature_code=True)
    answer, mean = invert(detailed, images), mean_code(detailed, 2)
    half = invert(detailed, images, InvertConfig(towards_mean=0.5))
    assert torch.allclose(half.w_plus, (answer.w_plus + mean) / 2, atol=1e-6)
    assert answer.feature_code is not None
    assert half.feature_code is not None
    assert torch.allclose(half.feature_code, answer.feature_code / 2)
    all_the_way = invert(detailed, images, InvertConfig(towards_mean=1.0))
    assert torch.allclose(all_the_way.w_plus, mean, atol=1e-6)
    assert all_the_way.feature_code is None


def test_without_an_encoder_optimization_starts_at_the_mean(model: Model, images: torch.Tensor) -> None:
    blind = replace(model, encoder=None)
    assert torch.equal(invert(blind, images, InvertConfig("w+", 0)).w_plus, mean_code(blind, 2))
    assert gap(model, invert(blind, images, InvertConfig("w+", 40)), images) < gap(model, Codes(mean_code(blind, 2)), images)
    for method in ("encoder", "iterated"):
        with pytest.raises(ModelMismatchError, match="no encoder"):
            invert(blind, images, InvertConfig(method))  # type: ignore[arg-type]
    assert invert(blind, images, refine_steps=2).w_plus.shape == (2, 8, 16)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="choose one of encoder"):
        InvertConfig("magic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="leave them out"):
        InvertConfig("mean", 5)
    with pytest.raises(InputError, match="from 0 to 1"):
        InvertConfig(towards_mean=1.5)


@pytest.mark.slow
def test_ways_beside_each_other(model: Model, images: torch.Tensor, tmp_path: Path) -> None:
    for index, image in enumerate(images):
        write_image(tmp_path / "photos" / f"{index}.png", from_tensor(image))
    stylizer = Stylizer(model)
    photos, ways = sorted((tmp_path / "photos").iterdir()), usual_ways(steps=2)
    assert set(METHODS) < set(ways)
    made = compare_inverters(stylizer, photos, open_instruments(), ways, aligned=True)
    assert made.numbers["photos"] == ["0", "1"]
    assert list(made.numbers["ways"]) == list(ways)
    crops = torch.stack([stylizer.align(photo, AlignConfig(aligned=True)).faces[0].crop for photo in photos])
    mean = stylizer.render(Codes(mean_code(model))).clamp(-1, 1)
    assert made.numbers["ways"]["mean"]["mean"]["l1"] == pytest.approx(float((mean - crops).abs().mean()), abs=1e-5)
    assert made.numbers["ways"]["w+"]["inverter"]["steps"] == 2
    assert all(way["mean"]["seconds"] > 0 for way in made.numbers["ways"].values())
    assert made.numbers["ways"]["mean"]["mean"]["seconds"] < made.numbers["ways"]["w+"]["mean"]["seconds"]
    # An image of the model compared with itself.
    perfect = compare_inverters(stylizer, photos, open_instruments(), {"w+": Way(InvertConfig("w+", 50))}, aligned=True)
    for measure in ("l1", "perceptual"):
        assert perfect.numbers["ways"]["w+"]["mean"][measure] < made.numbers["ways"]["encoder"]["mean"][measure]
    files = write_comparison(made, tmp_path / "out")
    assert [file.name for file in files] == ["inverters.png", "inverters.md", "inverters.json"]
    assert "| iterated |" in files[1].read_text()
    assert json.loads(files[2].read_text())["identity"] == "mien-identity"
    with pytest.raises(InputError, match="`overwrite`"):
        write_comparison(made, tmp_path / "out")
    assert set(usual_ways(model_has_encoder=False)) == {"w", "w+", "prior", "mean"}


@pytest.mark.slow
def test_iterating_pays_with_the_embedded_encoder(shared: Path) -> None:
    """Held-out photos: five rounds are nearer to the photo than one look."""
    stylizer = Stylizer.load()
    photos = sorted((shared / "data" / "photos-small").iterdir())[:3]

    def distance(config: InvertConfig) -> float:
        found = [stylizer.invert(photo, RenderConfig(inverter=config, refine_steps=0)) for photo in photos]
        return sum(float((one.rendering - one.crop).abs().mean()) for one in found)

    assert distance(InvertConfig("iterated")) < distance(InvertConfig())


def test_above_the_feature_code_the_same_images_are_drawn_as_by_the_whole_generator(images: torch.Tensor) -> None:
    model = small_model(feature_code=True)
    codes = encode(model, images)
    assert codes.feature_code is not None
    above = AboveFeatureCode(model.generator.synthesis, codes.w_plus, 8, torch.float32)
    expected = model.generator(codes.w_plus, model.generator.synthesis.noise("const"), feature_code=codes.feature_code)
    torch.testing.assert_close(above(codes), expected)


def test_in_f_space_the_feature_code_moves_as_it_does_where_all_is_drawn(images: torch.Tensor) -> None:
    model = small_model(feature_code=True)
    start = encode(model, images)
    assert start.feature_code is not None
    quick = refine(model, images, start, RefineConfig(steps=5, space="f", identity=0.3))
    whole = refine(model, images, start, RefineConfig(steps=5, learning_rate=0.0, identity=0.3))
    assert torch.equal(quick.w_plus, start.w_plus)
    assert quick.feature_code is not None
    assert whole.feature_code is not None
    assert (quick.feature_code - start.feature_code).abs().max() > 0.01
    torch.testing.assert_close(quick.feature_code, whole.feature_code, atol=1e-4, rtol=1e-3)
    assert gap(model, quick, images) < gap(model, start, images)


def test_the_feature_code_stays_in_the_eyes_as_far_as_it_is_held(images: torch.Tensor) -> None:
    model = small_model(feature_code=True)
    start = encode(model, images)
    assert start.feature_code is not None

    def moved(hold: float) -> torch.Tensor:
        found = refine(model, images, start, RefineConfig(steps=5, space="f", hold_eyes=hold)).feature_code
        assert found is not None
        assert start.feature_code is not None
        return (found - start.feature_code).abs().mean(dim=(0, 1))

    inside = eyes(start.feature_code.shape[-1])
    most, free, held = inside == inside.max(), moved(0.0), moved(1.0)
    assert (held / free)[most].max() < 1.5 * (1 - inside.max())
    assert (held / free)[inside < 0.01].min() > 0.5


def test_the_identity_weight_brings_renderings_nearer_in_the_identity_network(images: torch.Tensor) -> None:
    model = small_model(feature_code=True)
    start, judge = encode(model, images), read_identity_network()

    def apart(weight: float) -> float:
        found = refine(model, images, start, RefineConfig(steps=15, space="f", features=0.0, identity=weight))
        drawn = model.generator(found.w_plus, model.generator.synthesis.noise("const"), feature_code=found.feature_code)
        return float(feature_distance(judge.maps(drawn), judge.maps(images)))

    assert apart(3.0) < apart(0.0)
