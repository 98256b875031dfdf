"""The style-mixing latents: which codes are random, which feature codes are added, mirror images."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mien.checkpoint.model_file import write_model
from mien.checkpoint.state import read_state
from mien.cli.app import shell
from mien.errors import InputError, ModelMismatchError
from mien.faces import AlignConfig
from mien.faces.feature_strength import weigh_feature_code
from mien.faces.head_mask import coarse_head_mask
from mien.inversion import RefineConfig, invert, refine
from mien.inversion.encode import encode
from mien.latents import Codes, StyleCodes, broadcast
from mien.media.images import from_tensor, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance
from mien.models.sampling import random_codes
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.encode_references import reference_codes
from mien.oneshot.other_faces import own_faces
from mien.oneshot.reference_tuner import ReferenceTuner
from mien.oneshot.references import References
from mien.oneshot.style_mixing import StyleMixing, takes_own_faces
from mien.oneshot.tuner import OneShotTuner
from mien.pipeline import Stylizer
from mien.styles import Style

R, RANDOM = 32, "16px"


def model(*, encoder: bool = True, blurred_background: bool = False) -> Model:
    torch.manual_seed(3)
    g = Generator(GeneratorConfig(R, 16, 16, 2, channel_base=256, channel_max=16)).eval().requires_grad_(False)
    d = Discriminator(DiscriminatorConfig(R, 256, 16)).eval().requires_grad_(False)
    e = None
    if encoder:
        e = CompactEncoder(
            CompactEncoderConfig(R, g.num_ws, 16, width=8, max_width=16, detail_channels=16, detail_resolution=8)
        )
        for parameter in e.parameters():  # a fresh encoder says the same of everybody
            parameter.data += 0.1 * torch.randn_like(parameter)
        e = e.eval().requires_grad_(False)
    return Model(g, d, e, Provenance("test", "ours"), blurred_background)


def codes(count: int, m: Model) -> Tensor:
    torch.manual_seed(count)
    return broadcast(m.generator.mapping(torch.randn(count, 16)), m.generator.num_ws).clone()


def given(w_plus: Tensor, **more: Tensor) -> References:
    return References(torch.zeros(len(w_plus), 3, R, R), w_plus, **more)  # type: ignore[arg-type]


def with_mirror_image(image: Tensor, m: Model) -> References:
    return References(
        torch.cat([image, image.flip(3)]), codes(2, m), feature_codes=0.1 * torch.randn(2, 16, 8, 8), views=2,
        mixing_latents=codes(4, m),
    )  # fmt: skip


def drawn(mixing: StyleMixing, index: int = 0, count: int = 20) -> list[StyleCodes]:
    random = torch.Generator().manual_seed(0)
    found = [mixing.mixed_codes(torch.tensor([index]), random) for _ in range(count)]
    assert all(isinstance(one, StyleCodes) for one in found)
    return found  # type: ignore[return-value]


def test_random_layers_are_taken_from_the_given_codes() -> None:
    m = model()
    w_plus, fresh = codes(2, m), codes(3, m)
    styles = m.generator.synthesis.styles(fresh)
    reference = m.generator.synthesis.styles(w_plus)
    members = drawn(StyleMixing(m.generator, given(w_plus, mixing_latents=fresh), OneShotConfig(random_from=RANDOM)), index=1)
    seen = set()
    for one in members:
        assert torch.equal(one["8conv"], reference["8conv"][1:])
        which = [k for k in range(3) if torch.allclose(one["16up"], styles["16up"][k : k + 1])]
        assert len(which) == 1
        torch.testing.assert_close(one["32rgb"], styles["32rgb"][which])
        seen.add(which[0])
    assert seen == {0, 1, 2}
    mapped = drawn(StyleMixing(m.generator, given(w_plus), OneShotConfig(random_from=RANDOM)), index=1)
    assert not any(torch.allclose(one["16up"], styles["16up"][k : k + 1]) for one in mapped for k in range(3))


def test_rows_of_w_plus_are_taken_from_the_given_codes() -> None:
    m = model()
    w_plus, fresh = codes(1, m), codes(1, m) + 1
    member = StyleMixing(
        m.generator, given(w_plus, mixing_latents=fresh), OneShotConfig(space="w_plus", random_rows="3,5")
    ).mixed_codes(torch.tensor([0]), torch.Generator().manual_seed(0))
    assert isinstance(member, Tensor)
    assert torch.equal(member[:, [3, 5]], fresh[:, [3, 5]])
    assert torch.equal(member[:, [0, 1, 2, 4, 6, 7]], w_plus[:, [0, 1, 2, 4, 6, 7]])


@pytest.mark.parametrize("most", [0.0, 0.5, 1.0])
def test_more_or_less_of_the_feature_code_is_added(most: float) -> None:
    m = model()
    feature_code = torch.randn(2, 16, 8, 8)
    mixing = StyleMixing(
        m.generator, given(codes(2, m), feature_codes=feature_code), OneShotConfig(random_from=RANDOM, feature_code=most)
    )
    random = torch.Generator().manual_seed(0)
    if most == 0:
        assert mixing.feature_codes(torch.tensor([0]), random) is None
        return
    shares = []
    for _ in range(200):
        found = mixing.feature_codes(torch.tensor([1]), random)
        assert found is not None
        share = (found / feature_code[1:]).flatten()
        torch.testing.assert_close(share, share[:1].expand_as(share))
        shares.append(float(share[0]))
    assert 0 <= min(shares) < 0.1 * most
    assert 0.9 * most < max(shares) <= most


def test_a_step_with_feature_codes_and_mirror_images_agrees_with_its_reference_implementation() -> None:
    m = model()
    assert m.discriminator is not None
    torch.manual_seed(0)
    image = torch.rand(1, 3, R, R) * 2 - 1
    references, config = with_mirror_image(image, m), OneShotConfig(random_from=RANDOM)
    fast = OneShotTuner(m.generator, m.discriminator, references, config)
    plain = ReferenceTuner(m.generator, m.discriminator, references, config)
    for _ in range(4):
        assert fast.step() == pytest.approx(plain.step(), rel=1e-4)


def test_every_step_sees_references_or_their_mirror_images() -> None:
    m = model()
    assert m.discriminator is not None
    images = torch.rand(6, 3, R, R) * 2 - 1
    references = References(images, codes(6, m), views=2)
    tuner = OneShotTuner(m.generator, m.discriminator, references, OneShotConfig(random_from=RANDOM, batch=2))
    chosen = [tuner._choose().tolist() for _ in range(60)]
    assert {len(one) for one in chosen} == {2}
    assert {i for one in chosen for i in one} == set(range(6))
    assert all(one[0] % 3 != one[1] % 3 for one in chosen)  # never an image beside its own mirror image


def test_own_faces_are_what_the_encoder_says_of_them() -> None:
    m = model()
    found = own_faces(m, seed=1)
    assert found.w_plus.shape == (64, m.generator.num_ws, 16)
    assert own_faces(m, seed=1) is found, "worked out once"
    assert not torch.equal(found.w_plus, own_faces(m, seed=2).w_plus)
    assert torch.equal(found.w_plus, own_faces(m, seed=1).w_plus)
    z = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    noise = m.generator.synthesis.noise("const")
    with torch.no_grad():
        images = m.generator(broadcast(m.generator.mapping(z[:8]), m.generator.num_ws), noise).clamp(-1, 1)
        torch.testing.assert_close(found.w_plus[:8], encode(m, images).w_plus)
        torch.testing.assert_close(found.heads[:8], coarse_head_mask(images))
        mapped = own_faces(m, seed=1, encoded=False).w_plus[:8]
        assert torch.equal(mapped, broadcast(m.generator.mapping(z[:8]), m.generator.num_ws))
    with pytest.raises(ModelMismatchError, match="no encoder"):
        own_faces(model(encoder=False))
    next(m.generator.parameters()).data.add_(1)  # another model, though the same object
    assert not torch.equal(found.w_plus, own_faces(m, seed=1).w_plus)


@pytest.mark.parametrize(("family", "encoder", "wanted"), [
    ("auto", True, True), ("auto", False, False), ("mapping", True, False), ("encoder", False, True),
])  # fmt: skip
def test_whose_codes_are_random(family: str, encoder: bool, wanted: bool) -> None:
    assert takes_own_faces(OneShotConfig(mixing_latents=family), model(encoder=encoder)) is wanted  # type: ignore[arg-type]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    write_image(tmp_path / "reference.png", from_tensor(torch.rand(3, R, R) * 2 - 1))
    return tmp_path / "reference.png"


def fit(reference: Path, **overrides: object) -> Style:
    config = OneShotConfig(steps=2, random_from=RANDOM, **overrides)  # type: ignore[arg-type]
    return Stylizer(model()).fit([reference], config, align=AlignConfig(aligned=True))


def same(a: Style, b: Style) -> bool:
    return a.deltas.keys() == b.deltas.keys() and all(torch.equal(a.deltas[k], b.deltas[k]) for k in a.deltas)


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_options_of_the_family_reach_the_loop(reference: Path) -> None:
    usual = fit(reference)
    assert same(usual, fit(reference))
    for other in ({"mixing_latents": "mapping"}, {"feature_code": 0.0}, {"mirror": False}):
        assert not same(usual, fit(reference, **other)), other
    assert usual.thumbnail.shape[-1] == 96  # the mirror image is no reference of its own


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_extreme_references_have_neither_mirror_image_nor_feature_code(reference: Path) -> None:
    usual = fit(reference, extreme=True)
    assert same(usual, fit(reference, extreme=True, mirror=False, feature_code=0.0))


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(InputError, match="feature_code"):
        OneShotConfig(feature_code=-1.0)


def test_fidelity_is_eased_outside_the_face() -> None:
    found = Codes(torch.zeros(1, 8, 16), torch.ones(1, 16, 16, 16))
    heads, others = model(blurred_background=True), model()
    whole = weigh_feature_code(heads, found, 1.0).feature_code
    assert whole is not None
    assert bool((whole == 1).all())
    assert weigh_feature_code(heads, found, 0.0).feature_code is None
    part, whole = weigh_feature_code(heads, found, 0.7).feature_code, weigh_feature_code(others, found, 0.7).feature_code
    assert part is not None
    assert whole is not None
    assert torch.equal(whole, torch.full_like(whole, 0.7))
    assert float(part[0, 0, 9, 8]) == pytest.approx(0.7, abs=0.01)
    assert float(part[0, 0, 0, 0]) == pytest.approx(0.7**2, abs=0.01)
    assert bool((part <= 0.7).all())
    torch.testing.assert_close(part, part.flip(3))


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_only_the_usual_inverter_gives_references_a_feature_code(reference: Path) -> None:
    m = Stylizer(model()).model
    images = torch.rand(1, 3, R, R) * 2 - 1
    assert reference_codes(m, images, OneShotConfig(), ["a"]).feature_code is not None
    assert reference_codes(m, images, OneShotConfig(refine_reference=2), ["a"]).feature_code is None
    assert reference_codes(replace(m, encoder=None), images, OneShotConfig(refine_reference=1), ["a"]).feature_code is None


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_a_style_of_the_encoders_codes_draws_random_faces_as_the_encoder_sees_them(reference: Path) -> None:
    stylizer = Stylizer(model())
    style, published = fit(reference), fit(reference, mixing_latents="mapping")
    assert (style.settings["family"], published.settings["family"]) == ("encoder", "mapping")
    codes = random_codes(stylizer.model.generator, 2, seed=4)
    faces = stylizer.render(Codes(codes))
    seen = weigh_feature_code(stylizer.model, encode(stylizer.model, faces.clamp(-1, 1)), style.fidelity)
    drawn, as_published = (torch.stack(list(stylizer.render_each(codes, look))) for look in (style, published))
    torch.testing.assert_close(drawn, stylizer.draw(style, seen), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(as_published, stylizer.draw(published, Codes(codes)))


@pytest.mark.slow
def test_refinement_beside_a_feature_code_holds_the_code() -> None:
    m = model()
    images = torch.rand(1, 3, R, R) * 2 - 1
    start = encode(m, images)
    held = invert(m, images, refine_steps=100)
    free = refine(m, images, start, RefineConfig(steps=100))
    assert float((held.w_plus - start.w_plus).norm()) < 0.5 * float((free.w_plus - start.w_plus).norm())
    assert held.feature_code is not None
    assert start.feature_code is not None
    assert float((held.feature_code - start.feature_code).norm()) > 0


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_a_fit_goes_on_with_the_codes_and_maps_that_it_was_begun_with(reference: Path, tmp_path: Path) -> None:
    def learned(steps: int, state: Path | None, seed: int = 0, **overrides: object) -> Style:
        config = OneShotConfig(steps=steps, random_from=RANDOM, seed=seed, **overrides)  # type: ignore[arg-type]
        snapshots = SnapshotConfig(state=state)
        return Stylizer(model()).fit([reference], config, align=AlignConfig(aligned=True), snapshots=snapshots)

    whole = learned(4, None)
    learned(2, tmp_path / "state")
    assert {"fresh", "detail"} <= set(read_state(tmp_path / "state")[0])
    assert same(learned(4, tmp_path / "state"), whole)
    for overrides, why in (
        ({"mirror": False}, "mirror"),
        ({"mixing_latents": "mapping"}, "mixing_latents"),
        ({"feature_code": 0.5}, "feature_code"),
    ):
        with pytest.raises(InputError, match=why):
            learned(6, tmp_path / "state", **overrides)
    with pytest.raises(InputError, match="seed"):
        learned(6, tmp_path / "state", seed=1)


@pytest.mark.filterwarnings("ignore:.*far from a face")
@pytest.mark.parametrize("overrides", [{"gaze": "photo"}, {"identity_weight": 0.1}])
def test_other_losses_take_feature_codes_and_mirror_images(overrides: dict[str, object]) -> None:
    m = model()
    assert m.discriminator is not None
    torch.manual_seed(0)
    image = torch.rand(1, 3, R, R) * 2 - 1
    config = OneShotConfig(random_from=RANDOM, **overrides)  # type: ignore[arg-type]
    references = with_mirror_image(image, m)
    tuners = [kind(m.generator, m.discriminator, references, config) for kind in (OneShotTuner, ReferenceTuner)]
    assert tuners[0].step() == pytest.approx(tuners[1].step(), rel=1e-4)


def test_weights_and_valid_parts_belong_to_their_references_and_mirror_images() -> None:
    m = model()
    assert m.discriminator is not None
    torch.manual_seed(0)
    images = torch.rand(4, 3, R, R) * 2 - 1
    valid = torch.ones(4, 1, R, R)
    valid[1, :, :, :16] = 0
    valid[3, :, :, 16:] = 0
    references = References(images, codes(4, m), (1.0, 3.0), valid, views=2)
    tuner = OneShotTuner(m.generator, m.discriminator, references, OneShotConfig(random_from=RANDOM, batch=1))
    shown = torch.rand(1, 3, R, R) * 2 - 1
    for i in range(4):
        index = torch.tensor([i])
        wanted = (0.5, 1.5)[i % 2]
        one = References(images[index], codes(1, m), valid=valid[index])
        own = OneShotTuner(m.generator, m.discriminator, one, OneShotConfig(random_from=RANDOM))
        torch.testing.assert_close(tuner.style_distance(shown, index), wanted * own.style_distance(shown, torch.tensor([0])))


@pytest.mark.filterwarnings("ignore:.*far from a face")
def test_options_of_the_family_reach_the_fit(reference: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.safetensors", model())
    common = ["fit", str(reference), "--aligned", "--model", str(tmp_path / "model.safetensors"), "--steps", "1", "--quiet"]
    for words, found in (
        ([], ("encoder", True, True)), (["--mixing-latents", "mapping"], ("mapping", True, True)),
        (["--feature-code", "0"], ("encoder", False, True)), (["--no-mirror"], ("encoder", True, False)),
    ):  # fmt: skip
        assert shell([*common, *words, "--random-from", RANDOM, "-o", str(tmp_path / "s.safetensors"), "--overwrite"]) == 0
        settings = Style.load(tmp_path / "s.safetensors").settings
        assert tuple(settings[name] for name in ("family", "detail", "mirrored")) == found


def test_unknown_mixing_latents_are_refused() -> None:
    with pytest.raises(InputError, match="`mixing_latents` is one of auto, mapping, encoder, got 'encodr'"):
        OneShotConfig(mixing_latents="encodr")  # type: ignore[arg-type]
