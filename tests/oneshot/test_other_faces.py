"""The distribution loss on other faces, several views, and the running average, as parts of the one-shot method."""

from dataclasses import replace

import pytest
import torch

from mien.errors import InputError
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance
from mien.oneshot.config import OneShotConfig
from mien.oneshot.encode_references import distribution_weight, encode_references
from mien.oneshot.other_faces import USUAL_WEIGHT, OtherFaces, OwnFaces
from mien.oneshot.presets import PRESETS
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner, RunningAverage
from toys import R, setting


def model(*, encoder: bool = True) -> Model:
    torch.manual_seed(3)
    g = Generator(GeneratorConfig(R, 16, 16, 2, channel_base=256, channel_max=16)).eval().requires_grad_(False)
    if not encoder:
        return Model(g, None, None, Provenance("test", "ours"), False)
    e = CompactEncoder(CompactEncoderConfig(R, g.num_ws, 16, width=8, max_width=16))
    for parameter in e.parameters():  # a fresh encoder says the same of everybody
        parameter.data += 0.1 * torch.randn_like(parameter)
    return Model(g, None, e.eval().requires_grad_(False), Provenance("test", "ours"), False)


PLAIN = OneShotConfig(random_from="16px", feature_code=0.0, distribution_weight=0.0, weight_average=0.0)


def _tuner(config: OneShotConfig) -> OneShotTuner:
    g, d, images, w_plus = setting()
    faces = OwnFaces(torch.cat([w_plus] * 3), torch.ones(3, 1, 16, 16))
    return OneShotTuner(g, d, References(images, w_plus, other_faces=faces), config)


def _others(regions: str, features: torch.Tensor, target: torch.Tensor) -> OtherFaces:
    head = torch.zeros(1, 1, 32, 32)
    head[..., :16] = 1  # the left half
    faces = OwnFaces(torch.zeros(1, 8, 16), head)
    return OtherFaces(faces, [target[None]] * 2, head, regions, lambda w: [features[None]] * 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(("regions", "counts"), [("head", (True, False)), ("parts", (True, True)), ("all", (True, True))])
def test_regions_say_which_places_count(regions: str, counts: tuple[bool, bool]) -> None:
    target = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))
    for half, wanted in zip((slice(0, 16), slice(16, 32)), counts, strict=True):
        changed = target.clone()
        changed[..., half] += 4
        found = _others(regions, changed, target).distance(torch.tensor([0]), 1, torch.Generator().manual_seed(1))
        assert (float(found) > 0.5) is wanted


def test_weight_adds_the_term_and_zero_leaves_it_out() -> None:
    names = {weight: [term.name for term in _tuner(replace(PLAIN, distribution_weight=weight)).terms] for weight in (0.0, 0.3)}
    assert names == {0.0: ["style"], 0.3: ["style", "distribution"]}
    (term,) = (t for t in _tuner(replace(PLAIN, distribution_weight="auto")).terms if t.name == "distribution")
    assert term.weight == USUAL_WEIGHT


def test_the_number_of_faces_is_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner, drawn = _tuner(replace(PLAIN, distribution_weight=1.0, distribution_faces=3)), []
    usual = tuner._features_of
    monkeypatch.setattr(tuner, "_features_of", lambda w: drawn.append(len(w)) or usual(w))
    tuner.terms = tuner._terms()
    tuner.step()
    assert drawn == [1, 1, 1]


def test_it_counts_every_second_step_and_twice_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = _tuner(replace(PLAIN, distribution_weight=0.5, distribution_every=2, steps=5))
    monkeypatch.setattr(OtherFaces, "distance", lambda *given: torch.tensor(7.0))
    tuner.terms = [
        replace(term, function=lambda r: 0 * r.image.sum()) if term.name == "style" else term for term in tuner._terms()
    ]
    assert tuner.run() == [7.0, 0.0, 7.0, 0.0, 7.0]


def test_a_distribution_loss_without_faces_is_an_error() -> None:
    g, d, images, w_plus = setting()
    with pytest.raises(ValueError, match="other_faces"):
        OneShotTuner(g, d, References(images, w_plus), replace(PLAIN, distribution_weight=0.5))


def test_auto_is_for_codes_of_an_encoder() -> None:
    auto, extreme = OneShotConfig(), OneShotConfig(extreme=True)
    assert distribution_weight(auto, model()) == USUAL_WEIGHT
    assert distribution_weight(auto, model(encoder=False)) == 0
    assert distribution_weight(extreme, model()) == 0
    assert distribution_weight(replace(extreme, distribution_weight=0.2), model()) == 0.2


def test_views_are_mirrored_and_moved_and_have_their_own_codes() -> None:
    image = torch.rand(3, R, R, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = {
        views: encode_references(model(), [image], replace(PLAIN, reference_views=views, reference_shape=1.0), names=["a"])
        for views in (1, 3)
    }
    assert [found[n].views for n in (1, 3)] == [2, 6]
    assert torch.equal(found[3].images[:2], found[1].images)
    assert torch.equal(found[1].images[1], image.flip(2))
    assert len({tuple(code.flatten().tolist()) for code in found[3].w_plus}) == 6


def test_the_average_follows_the_weights_slowly_and_is_what_is_kept() -> None:
    plain, averaged = _tuner(PLAIN), _tuner(replace(PLAIN, weight_average=0.9))
    assert plain.result is plain.synthesis
    for _ in range(3):
        averaged.step()
    kept, base, last = (n.b32.conv1.weight for n in (averaged.result, averaged.base.synthesis, averaged.synthesis))
    assert 0 < (kept - base).norm() < (last - base).norm()


def test_a_running_average_of_still_weights_is_these_weights() -> None:
    g, _, _, _ = setting()
    average = RunningAverage(g.synthesis, 0.9)
    for _ in range(5):
        average.update(g.synthesis)
    assert torch.allclose(average.network.b32.conv1.weight, g.synthesis.b32.conv1.weight)


@pytest.mark.parametrize("preset", ["paper", "published"])
def test_published_methods_have_none_of_it(preset: str) -> None:
    config = OneShotConfig(**PRESETS[preset].one_shot)  # type: ignore[index]
    assert (config.distribution_weight, config.weight_average) == (0, 0)
    assert (config.reference_views, config.reference_shape) == (1, 1)


@pytest.mark.parametrize("wrong", [
    {"distribution_weight": -1.0}, {"distribution_regions": "hair"}, {"distribution_faces": 0},
    {"distribution_every": 0}, {"reference_views": 0},
    {"reference_shape": 1.5}, {"weight_average": 1.0},
])  # fmt: skip
def test_settings_out_of_range_are_told(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        OneShotConfig(**wrong)
