"""The product on a tiny random model: what is saved is what is rendered, and every option acts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mien.checkpoint import load_model
from mien.checkpoint.model_file import write_model
from mien.checkpoint.regions_file import Regions
from mien.editing.config import Control
from mien.errors import FaceNotFoundError, InputError, ModelMismatchError
from mien.faces.config import AlignConfig
from mien.inversion.config import InvertConfig, Method, RefineConfig
from mien.inversion.encode import mean_code
from mien.inversion.optimize import refine
from mien.latents import USUAL_FIDELITY, Codes, style_layers
from mien.media.images import from_tensor, read_image, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.pipeline import OneShotConfig, Style, Stylizer
from mien.render_config import RenderConfig
from mien.shipped import find_style
from toys import tiny, tiny_discriminator

# To a random model, random images are no faces.
pytestmark = [pytest.mark.filterwarnings("ignore:To the model"), pytest.mark.filterwarnings("ignore:.*was drawn at 32 px")]

R = 32
ALIGNED = AlignConfig(aligned=True)
QUICK = OneShotConfig(steps=6, random_from="32px")
PLAIN = RenderConfig(refine_steps=0)


def model_file(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    encoder = CompactEncoder(CompactEncoderConfig(R, num_ws=8, w_dim=16, width=8, max_width=16))
    with torch.no_grad():
        encoder.out.weight.mul_(10)
    write_model(folder / f"tiny-{seed}.safetensors", Model(tiny(R), tiny_discriminator(R), encoder))
    return folder / f"tiny-{seed}.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stylizer")
    torch.manual_seed(3)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 6) * 2 - 1, (96, 96), mode="bicubic").clamp(-1, 1)
    write_image(folder / "photo.png", from_tensor(smooth[0]))
    write_image(folder / "reference.png", from_tensor(smooth[1]))
    model_file(folder)
    return folder


@pytest.fixture(scope="module")
def stylizer(folder: Path) -> Stylizer:
    return Stylizer.load(folder / "tiny-0.safetensors")


@pytest.fixture(scope="module")
def style(stylizer: Stylizer, folder: Path) -> Style:
    return stylizer.fit([folder / "reference.png"], QUICK, align=ALIGNED)


def test_a_saved_style_gives_the_same_bytes(stylizer: Stylizer, style: Style, folder: Path) -> None:
    style.save(folder / "saved.safetensors", overwrite=True)
    again = Style.load(folder / "saved.safetensors")
    before = stylizer.apply(style, folder / "photo.png", PLAIN, align=ALIGNED).image_data.pixels
    fresh = Stylizer(load_model(folder / "tiny-0.safetensors"))
    after = fresh.apply(again, folder / "photo.png", PLAIN, align=ALIGNED).image_data.pixels
    assert (before == after).all()
    assert (before != read_image(folder / "photo.png").pixels).any()
    assert again.settings["fit"]["steps"] == 6
    assert again.settings["references"] == ["reference.png"]
    assert again.thumbnail.shape == (3, 96, 96)
    with pytest.raises(InputError, match="`overwrite`"):
        style.save(folder / "saved.safetensors")


def test_the_same_seed_gives_the_same_style(stylizer: Stylizer, style: Style, folder: Path) -> None:
    again = stylizer.fit([folder / "reference.png"], QUICK, align=ALIGNED)
    assert style.deltas.keys() == again.deltas.keys()
    assert all(torch.equal(gap, again.deltas[name]) for name, gap in style.deltas.items())


def test_a_list_of_photos_makes_a_list_of_results(stylizer: Stylizer, style: Style, folder: Path) -> None:
    photo = folder / "photo.png"
    first, second = stylizer(style, [photo, Image.open(photo)], PLAIN, align=ALIGNED)
    alone = stylizer(style, photo, PLAIN, align=ALIGNED)
    assert (first.image_data.pixels == alone.image_data.pixels).all()
    assert (second.image_data.pixels == alone.image_data.pixels).all()
    assert [image.tobytes() for image in alone.images] == [alone.image.tobytes()]


def test_another_base_model_is_refused(style: Style, folder: Path) -> None:
    other = Stylizer.load(model_file(folder, seed=1))
    with pytest.raises(ModelMismatchError, match="another base model"):
        other.apply(style, folder / "photo.png", align=ALIGNED)


def test_strength(stylizer: Stylizer, style: Style, folder: Path) -> None:
    def face(strength: float) -> torch.Tensor:
        return stylizer.apply(style, folder / "photo.png", replace(PLAIN, strength=strength), align=ALIGNED).faces[0].stylized

    base = stylizer.apply(style, folder / "photo.png", PLAIN, align=ALIGNED).faces[0].inversion
    assert torch.equal(face(0.0), base)
    distance = [float((face(a) - base).abs().mean()) for a in (0.3, 0.7, 1.0, 1.3)]
    assert distance == sorted(distance)
    assert distance[0] > 0


def test_a_reference_given_twice_counts_twice(stylizer: Stylizer, folder: Path) -> None:
    files = [folder / "reference.png", folder / "photo.png", folder / "reference.png"]
    learned = stylizer.fit(files, QUICK, align=ALIGNED)
    assert learned.settings["weights"] == [2.0, 1.0]
    assert learned.thumbnail.shape == (3, 96, 192)


@pytest.mark.slow
def test_extreme_takes_the_whole_image_and_the_mean_code(stylizer: Stylizer, folder: Path) -> None:
    with pytest.raises(FaceNotFoundError, match="`extreme`"):
        stylizer.fit([folder / "reference.png"], QUICK)
    extreme = stylizer.fit([folder / "reference.png"], replace(QUICK, extreme=True))
    aligned = stylizer.fit([folder / "reference.png"], QUICK, align=ALIGNED)
    assert extreme.settings["extreme"]
    name = "b32.conv1.weight"
    assert not torch.equal(extreme.deltas[name], aligned.deltas[name])  # another code
    assert torch.equal(extreme.thumbnail, aligned.thumbnail)  # the same crop


def test_what_a_crop_invents_is_not_learned(stylizer: Stylizer, folder: Path) -> None:
    """A box beyond the border is another thing to learn than the same pixels as an image of their own."""

    def learned(image: Path, align: AlignConfig) -> Style:
        return stylizer.fit([image], QUICK, align=align)

    beyond = AlignConfig(box=(-32.0, 0.0, 96.0))
    crop = stylizer.align(folder / "reference.png", beyond).faces[0].crop
    masked = learned(folder / "reference.png", beyond)
    assert masked.settings["invented"] == [pytest.approx(1 / 3, abs=0.04)]
    whole = stylizer.fit([from_tensor(crop)], QUICK, align=ALIGNED)
    assert "invented" not in whole.settings
    assert not torch.equal(masked.deltas["b32.conv1.weight"], whole.deltas["b32.conv1.weight"])
    # Nothing is invented: bit for bit the same, also for a box that is the image to a hair.
    inside = learned(folder / "reference.png", AlignConfig(box=(0.0, 0.0, 96.0)))
    same = learned(folder / "reference.png", ALIGNED)
    assert all(torch.equal(gap, same.deltas[name]) for name, gap in inside.deltas.items())
    assert inside.settings == same.settings


@pytest.mark.slow
def test_no_face_is_an_error_that_helps(stylizer: Stylizer, style: Style, folder: Path) -> None:
    with pytest.raises(FaceNotFoundError, match=r"photo\.png.*`aligned`"):
        stylizer.apply(style, folder / "photo.png")


def test_the_rest_of_the_photo_follows_the_style_as_far_as_it_is_told(stylizer: Stylizer, style: Style, folder: Path) -> None:
    box = AlignConfig(box=(40.0, 40.0, 30.0))
    still, half, whole = (
        stylizer.apply(style, folder / "photo.png", RenderConfig(surroundings=share), align=box).image_data.pixels.astype(int)
        for share in (0.0, 0.5, 1.0)
    )
    half, whole = abs(half - still)[:27].mean(), abs(whole - still)[:27].mean()
    assert half == pytest.approx(whole / 2, rel=0.1)
    assert whole > 1


def test_box_and_crop(stylizer: Stylizer, style: Style, folder: Path) -> None:
    box = AlignConfig(box=(40.0, 40.0, 30.0))
    whole = stylizer.apply(style, folder / "photo.png", RenderConfig(surroundings=0.0), align=box)
    original = read_image(folder / "photo.png").pixels
    changed = (whole.image_data.pixels != original).any(axis=2)
    assert changed.any()
    # The square of 1.8 times the box in which colors are carried on.
    assert not changed[:27].any()
    assert not changed[:, :27].any()
    assert not changed[83:].any()
    square = stylizer.apply(style, folder / "photo.png", RenderConfig(crop=True), align=box)
    assert square.image_data.pixels.shape == (R, R, 3)
    with pytest.raises(InputError, match="give one of them"):
        AlignConfig(box=(0.0, 0.0, 5.0), aligned=True)
    with pytest.raises(InputError, match="outside"):
        stylizer.apply(style, folder / "photo.png", align=AlignConfig(box=(500.0, 0.0, 30.0)))


def test_refinement_comes_nearer_to_the_image(stylizer: Stylizer, folder: Path) -> None:
    def gap(steps: int) -> float:
        found = stylizer.invert(folder / "photo.png", RenderConfig(refine_steps=steps), align=ALIGNED)
        assert found.w_plus.shape == (1, 8, 16)
        return float((found.rendering - found.crop).abs().mean())

    assert gap(60) < gap(0)


def made_up_regions(stylizer: Stylizer) -> Regions:
    """The first half of the channels of every layer drives the eyes, which are the left half of the image."""
    names = ("eyes", "skin")
    place = torch.zeros(2, 32, 32)
    place[0, :, :16] = place[1, :, 16:] = 1
    shares = torch.tensor([[1.0] * 4 + [0.0] * 4, [0.0] * 4 + [1.0] * 4])
    membership = {layer.name: shares for layer in style_layers(R)}
    return Regions(stylizer.digest, names, 32, torch.ones(2, 8) / 8**0.5, torch.tensor([0, 1]), place, membership)


def test_control_while_learning(folder: Path, style: Style) -> None:
    stylizer = Stylizer.load(folder / "tiny-0.safetensors")
    stylizer.regions = made_up_regions(stylizer)

    def learned(config: OneShotConfig = QUICK, **control: Mapping[str, float]) -> Style:
        return stylizer.fit([folder / "reference.png"], config, align=ALIGNED, control=Control(**control))

    name = "b32.conv1.weight"
    assert torch.equal(learned().deltas[name], style.deltas[name])  # nothing asked for, nothing changed
    found = [learned(keep={"eyes": 1.0}), learned(exaggerate={"eyes": 1.0}), learned(exaggerate={"eyes": 0.5})]
    different = [style, *found]
    for i, one in enumerate(different):
        assert all(not torch.equal(one.deltas[name], other.deltas[name]) for other in different[i + 1 :])
    assert found[2].settings["control"] == {"keep": {}, "exaggerate": {"eyes": 0.5}}
    masked = stylizer.fit([folder / "reference.png"], replace(QUICK, random_layers="32px,eyes"), align=ALIGNED)
    assert not torch.equal(masked.deltas[name], style.deltas[name])
    with pytest.raises(InputError, match="`space` w_plus"):
        learned(OneShotConfig(space="w_plus", random_rows="5"), keep={"eyes": 1.0})
    both = learned(replace(QUICK, random_layers="32px,eyes"), exaggerate={"eyes": 1.0})
    assert both.settings["fit"]["random_layers"] == "32px,eyes"
    with pytest.raises(InputError, match="`random_from`"):
        learned(replace(QUICK, random_from="16px"), keep={"eyes": 1.0})
    with pytest.raises(InputError, match="`extreme` learns"):
        stylizer.fit([folder / "reference.png"], replace(QUICK, extreme=True), control=Control(keep={"eyes": 1.0}))


def test_control_of_a_finished_style(folder: Path, style: Style) -> None:
    stylizer = Stylizer.load(folder / "tiny-0.safetensors")
    stylizer.regions = made_up_regions(stylizer)

    def face(strength: float = 1.0, which: Style = style, **control: Mapping[str, float]) -> torch.Tensor:
        config = replace(PLAIN, strength=strength, **control)
        return stylizer.apply(which, folder / "photo.png", config, align=ALIGNED).faces[0].stylized

    plain, base = face(), face(0.0)
    assert torch.equal(face(keep={}), plain)
    kept = (face(keep={"eyes": 1.0}) - plain).abs().mean(dim=0)
    assert kept[:, : R // 2].mean() > 2 * kept[:, R // 2 :].mean()
    assert torch.equal(face(0.0, keep={"eyes": 1.0}, exaggerate={"mouth": 1.0}), base)
    half, whole = (float((face(exaggerate={"eyes": a}) - plain).abs().mean()) for a in (0.5, 1.0))
    assert 0 < half < whole
    style.save(folder / "kept.safetensors")
    again = Style.load(folder / "kept.safetensors")
    assert torch.equal(face(which=again, exaggerate={"eyes": 1.0}), face(exaggerate={"eyes": 1.0}))
    # The codes of the references themselves, not those of the thumbnail.
    small = replace(again, thumbnail=torch.zeros_like(style.thumbnail))
    assert torch.equal(face(which=small, exaggerate={"eyes": 1.0}), face(exaggerate={"eyes": 1.0}))
    with pytest.raises(InputError, match="keeps no codes"):
        face(which=replace(style, reference_codes=None), exaggerate={"eyes": 1.0})
    nobody = replace(style, settings={})
    with pytest.raises(InputError, match="not learned from images"):
        face(which=nobody, exaggerate={"eyes": 1.0})
    assert face(which=nobody, keep={"eyes": 1.0}).shape == (3, R, R)


def test_samples(stylizer: Stylizer, style: Style) -> None:
    def faces(count: int = 3, seed: int = 1, psi: float = 0.7, look: Style | None = None, strength: float = 1.0) -> list[bytes]:
        found = stylizer.sample(count, seed=seed, psi=psi, style=look, strength=strength)
        assert all(image.size == (R, R) for image in found)
        return [image.tobytes() for image in found]

    plain = faces()
    assert len(plain) == 3
    assert plain == faces()
    assert plain[:2] == faces(2)
    assert plain != faces(seed=2)
    assert faces(psi=0.0)[0] == faces(psi=0.0)[1]
    assert plain != faces(look=style)
    assert plain == faces(look=replace(style, settings={}), strength=0.0)


@pytest.mark.slow
def test_a_model_without_what_is_needed_says_so(folder: Path, style: Style) -> None:
    torch.manual_seed(0)
    bare = Stylizer(Model(tiny(R)))
    with pytest.raises(ModelMismatchError, match="no discriminator"):
        bare.fit([folder / "reference.png"], QUICK, align=ALIGNED)
    blind = Stylizer(Model(tiny(R), tiny_discriminator(R)))
    with pytest.raises(ModelMismatchError, match="no encoder"):
        blind.invert(folder / "photo.png", PLAIN, align=ALIGNED)
    optimized = blind.fit([folder / "reference.png"], QUICK, align=ALIGNED)
    mean = blind.fit([folder / "reference.png"], replace(QUICK, refine_reference=2), align=ALIGNED)
    assert not torch.equal(optimized.deltas["b32.conv1.weight"], mean.deltas["b32.conv1.weight"])
    with pytest.raises(InputError, match="at least one reference"):
        blind.fit([], QUICK)


def test_find_style(folder: Path, style: Style) -> None:
    style.save(folder / "here.safetensors", overwrite=True)
    assert find_style(folder / "here.safetensors") == folder / "here.safetensors"
    with pytest.raises(InputError, match="no style nothing"):
        find_style("nothing")


@pytest.fixture(scope="module")
def detailed(folder: Path) -> Stylizer:
    """A model whose encoder answers with a feature code as well."""
    model = load_model(folder / "tiny-0.safetensors")
    torch.manual_seed(4)
    encoder = CompactEncoder(
        CompactEncoderConfig(R, num_ws=8, w_dim=16, width=8, max_width=16, detail_channels=model.generator.config.channels(16))
    )
    with torch.no_grad():
        encoder.detail.out.weight.normal_(std=0.3)
    return Stylizer(Model(model.generator, model.discriminator, encoder))


def test_fidelity(detailed: Stylizer, folder: Path) -> None:
    style = detailed.fit([folder / "reference.png"], QUICK, align=ALIGNED)

    def face(fidelity: float, strength: float = 1.0) -> torch.Tensor:
        config = replace(PLAIN, fidelity=fidelity, strength=strength)
        return detailed.apply(style, folder / "photo.png", config, align=ALIGNED).faces[0].stylized

    crop = detailed.align(folder / "photo.png", ALIGNED).faces[0].crop[None]
    codes = detailed.invert_crops(crop)
    assert codes.feature_code is not None
    tuned = detailed._tuned_network(style)
    assert torch.equal(face(0), detailed.render(Codes(codes.w_plus), tuned)[0])
    assert torch.equal(face(1), detailed.render(codes, tuned)[0])
    distances = [float((face(fidelity) - face(0)).abs().mean()) for fidelity in (0.0, 0.5, 1.0)]
    assert distances == sorted(distances)
    assert distances[1] > 0
    # Strength 0 is the base model's face of the person, detail and all.
    assert torch.equal(face(1, strength=0.0), detailed.render(codes)[0])


def test_several_references_can_be_controlled(stylizer: Stylizer, folder: Path) -> None:
    write_image(folder / "other.png", from_tensor(torch.rand(3, R, R) * 2 - 1), overwrite=True)
    both = [folder / "reference.png", folder / "other.png"]
    assert stylizer.fit(both, QUICK, align=ALIGNED, control=Control(keep={"eyes": 1.0})).deltas


def test_inverters_of_the_reference_and_of_the_photo(stylizer: Stylizer, style: Style, folder: Path) -> None:
    def learned(inverter: InvertConfig) -> Style:
        return stylizer.fit([folder / "reference.png"], replace(QUICK, reference_inverter=inverter), align=ALIGNED)

    name = "b32.conv1.weight"
    assert torch.equal(learned(InvertConfig()).deltas[name], style.deltas[name])
    other = learned(InvertConfig("w", 3))
    assert not torch.equal(other.deltas[name], style.deltas[name])
    assert other.settings["fit"]["reference_inverter"]["method"] == "w"
    assert style.settings["fit"]["reference_inverter"] == "encoder"

    def face(inverter: Method | InvertConfig) -> torch.Tensor:
        config = replace(PLAIN, inverter=inverter)
        return stylizer.apply(style, folder / "photo.png", config, align=ALIGNED).faces[0].stylized

    assert torch.equal(face("encoder"), face(InvertConfig()))
    assert torch.equal(face("mean"), face(InvertConfig("mean")))
    mean = Codes(mean_code(stylizer.model))
    assert torch.equal(face(InvertConfig("mean")), stylizer.render(mean, stylizer._tuned_network(style))[0])


def test_refinement_finds_a_feature_code_unless_told_not_to(stylizer: Stylizer, folder: Path) -> None:
    crop = stylizer.align(folder / "photo.png", ALIGNED).faces[0].crop[None]
    start = stylizer.invert_crops(crop)
    assert start.feature_code is None

    def distance(codes: Codes) -> float:
        return float((stylizer.render(codes) - crop).abs().mean())

    plain = refine(stylizer.model, crop, start, RefineConfig(steps=30, feature_code_resolution=0))
    rich = refine(stylizer.model, crop, start, RefineConfig(steps=30, feature_code_learning_rate=0.1))
    assert plain.feature_code is None
    assert rich.feature_code is not None
    assert rich.feature_code.shape == (1, stylizer.model.generator.config.channels(16), 16, 16)
    assert distance(rich) < distance(plain) < distance(start)
    with pytest.raises(InputError, match="power of two"):
        refine(stylizer.model, crop, start, RefineConfig(steps=1, feature_code_resolution=12))
    held = refine(stylizer.model, crop, start, RefineConfig(steps=30, feature_code_learning_rate=0.1, feature_code_prior=100.0))
    assert held.feature_code is not None
    assert held.feature_code.abs().mean() < rich.feature_code.abs().mean()


def test_without_a_fidelity_a_face_gets_as_much_detail_as_suits_the_style(detailed: Stylizer, folder: Path) -> None:
    learned = detailed.fit([folder / "reference.png"], QUICK, align=ALIGNED)
    carried_over = replace(learned, settings={"model": "cartoon"})  # as of a model that was fine-tuned on a data set

    def face(style: Style, fidelity: float | None = None) -> torch.Tensor:
        config = replace(PLAIN, fidelity=fidelity)
        return detailed.apply(style, folder / "photo.png", config, align=ALIGNED).faces[0].stylized

    assert torch.equal(face(learned), face(learned, USUAL_FIDELITY))
    assert torch.equal(face(carried_over), face(carried_over, 0.0))
    assert not torch.equal(face(learned), face(carried_over))


def test_numbers_that_are_not_finite_are_refused_by_name(stylizer: Stylizer, style: Style, folder: Path) -> None:
    with pytest.raises(InputError, match="The style 'reference' draws an image with numbers that are not finite"):
        stylizer.apply(style, folder / "photo.png", replace(PLAIN, strength=1e36), align=ALIGNED)
    with pytest.raises(InputError, match="The style 'reference' draws"):
        stylizer.sample(1, style=style, strength=1e36)
    with pytest.raises(InputError, match=r"The model.* draws"):
        stylizer.render(Codes(torch.full((1, 8, 16), 1e38)))


def test_metadata_are_kept_unless_stripped(stylizer: Stylizer, style: Style, folder: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.open(folder / "photo.png").convert("RGB").save(tmp_path / "photo.jpg", exif=exif.tobytes(), dpi=(300, 300))
    for strip in (False, True):
        config = replace(PLAIN, strip_metadata=strip)
        stylizer.apply(style, tmp_path / "photo.jpg", config, align=ALIGNED).save(tmp_path / f"{strip}.jpg")
        with Image.open(tmp_path / f"{strip}.jpg") as written:
            assert dict(written.getexif()).get(0x010F) == (None if strip else "Maker")
            assert ("dpi" in written.info) is not strip
