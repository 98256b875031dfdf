"""One-shot fine-tuning: the fast path is the plain one, and every option does what its name says."""

import dataclasses
import itertools
from typing import get_args

import pytest
import torch

from mien.checkpoint import feature_network
from mien.checkpoint.face_networks import read_identity_network
from mien.editing.lockstep import Drawing, render_between
from mien.errors import InputError
from mien.latents import broadcast
from mien.losses.extractors import EXTRACTORS, efficientnet_maps, identity_maps, pixels
from mien.losses.features import FrozenFeatures, feature_distance, gray, loss_resolutions
from mien.models.efficientnet_lite import EfficientNetLite
from mien.models.generator import Generator, GeneratorConfig
from mien.oneshot.config import Loss, OneShotConfig
from mien.oneshot.deltas import apply_deltas, weight_deltas
from mien.oneshot.layer_masks import parse_layers, random_layers, random_rows, usual_start
from mien.oneshot.reference_tuner import ReferenceTuner
from mien.oneshot.references import References, merge_duplicates
from mien.oneshot.tuner import OneShotTuner
from toys import R, left_half, setting, tiny_discriminator


@pytest.mark.parametrize("space", ["s", "w_plus"])
@pytest.mark.parametrize("color", ["reference", "photo"])
def test_fast_path_is_the_plain_one(space: str, color: str) -> None:
    g, d, images, w_plus = setting(2)
    config = OneShotConfig(space=space, color=color, noise="random", random_from="32px", random_rows="3,5,9")  # type: ignore[arg-type]
    fast = OneShotTuner(g, d, References(images, w_plus), config)
    plain = ReferenceTuner(g, d, References(images, w_plus), config)
    first = True
    for _ in range(4):
        a, b = fast.step(), plain.step()
        assert a == pytest.approx(b, rel=1e-5 if first else 1e-3)
        first = False
    styles, noise = g.synthesis.styles(w_plus), g.synthesis.noise("const")
    a, b = fast.synthesis.synthesize(styles, noise), plain.synthesis.synthesize(styles, noise)
    assert (a - b).abs().max() < 1e-2 * b.abs().max()  # four Adam steps amplify rounding; the figure at full size is in `bench`


def test_the_plain_loop_knows_valid_parts_too() -> None:
    g, d, images, w_plus = setting()
    tuners = [
        kind(g, d, References(images, w_plus, valid=left_half()), OneShotConfig()) for kind in (OneShotTuner, ReferenceTuner)
    ]
    for _ in range(2):
        assert tuners[0].step() == pytest.approx(tuners[1].step(), rel=1e-3)


def test_nothing_is_learned_outside_the_valid_part(monkeypatch: pytest.MonkeyPatch) -> None:
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus, valid=left_half()), OneShotConfig())
    drawn = torch.randn(1, 3, R, R, requires_grad=True)
    monkeypatch.setattr(tuner.synthesis, "synthesize", lambda *_: drawn)
    [gradient] = torch.autograd.grad(tuner.loss(torch.tensor([0])), [drawn])
    assert (gradient[..., : R // 2] != 0).any()
    assert not gradient[..., R // 2 :].any()


def test_the_valid_part_is_learned_as_before_and_the_rest_is_not() -> None:
    g, d, _, w_plus = setting()
    images = torch.zeros(1, 3, R, R)
    images[..., R // 2 :] = torch.tensor([1.0, -1.0, 1.0])[:, None, None]  # what the crop made up: magenta
    gaps = []
    for valid in (None, left_half()):
        config = OneShotConfig(steps=25, random_from="64px", noise="const", learning_rate=0.02)
        tuner = OneShotTuner(g, d, References(images, w_plus, valid=valid), config)
        tuner.run()
        with torch.no_grad():
            styles = g.synthesis.styles(w_plus)
            gap = (tuner.synthesis.synthesize(styles, g.synthesis.noise("const")) - images).abs().mean(dim=(0, 1, 2))
        gaps.append((float(gap[: R // 2].mean()), float(gap[R // 2 :].mean())))
    assert gaps[1][1] > 1.1 * gaps[0][1]
    assert gaps[1][0] < 1.1 * gaps[0][0], gaps


def test_distances_over_valid_parts() -> None:
    maps, targets = [torch.randn(2, 5, 8, 8), torch.randn(2, 5, 4, 4)], [torch.zeros(2, 5, 8, 8), torch.zeros(2, 5, 4, 4)]
    everywhere = feature_distance(maps, targets)
    torch.testing.assert_close(feature_distance(maps, targets, valid=torch.ones(2, 1, 16, 16)), everywhere)
    upper = torch.ones(2, 1, 16, 16)
    upper[:, :, 8:] = 0
    expected = (maps[0][:, :, :4].abs().mean() + maps[1][:, :, :2].abs().mean()) / 2
    torch.testing.assert_close(feature_distance(maps, targets, valid=upper), expected)


def test_frozen_features_are_the_discriminators() -> None:
    for clamp in (None, 0.3):
        d = tiny_discriminator(R, clamp=clamp).requires_grad_(False)
        images = torch.randn(2, 3, R, R)
        sizes = (R, *loss_resolutions(R))
        slow = d.features(images, sizes)
        for size, found in zip(sizes, FrozenFeatures(d, sizes)(images), strict=True):
            torch.testing.assert_close(found, slow[size], rtol=1e-4, atol=1e-5)


def test_loss_resolutions_are_the_published_ones() -> None:
    assert loss_resolutions(1024) == (512, 128, 64, 32)
    assert loss_resolutions(64) == (32, 8, 4)


def test_fine_tuning_lowers_the_loss_and_leaves_the_base_alone() -> None:
    g, d, images, w_plus = setting()
    before = {k: v.clone() for k, v in g.state_dict().items()}
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=30, random_from="32px"))
    losses = tuner.run()
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert all(torch.equal(v, before[k]) for k, v in g.state_dict().items())


def test_same_seed_same_result_other_seed_another() -> None:
    g, d, images, w_plus = setting()

    def tuned(seed: int) -> torch.Tensor:
        tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=3, seed=seed))
        tuner.run()
        return tuner.synthesis.b64.conv1.weight.detach()  # type: ignore[union-attr, return-value]

    assert torch.equal(tuned(0), tuned(0))
    assert not torch.equal(tuned(0), tuned(1))


def test_space_s_leaves_the_affine_layers_alone_and_w_plus_trains_them() -> None:
    g, d, images, w_plus = setting()
    for space, trained in (("s", False), ("w_plus", True)):
        tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=2, space=space, random_rows="7,8"))  # type: ignore[arg-type]
        tuner.run()
        touched = weight_deltas(g.synthesis, tuner.synthesis)
        assert any("affine" in name for name in touched) is trained
        assert "b64.conv1.weight" in touched


def test_random_from_by_itself_follows_the_size_of_the_model() -> None:
    assert [usual_start(r) for r in (16, 64, 128, 256, 512, 1024)] == [16, 16, 16, 16, 32, 64]
    for r in (64, 1024):
        assert random_layers(r, OneShotConfig()) == random_layers(r, OneShotConfig(random_from=f"{usual_start(r)}px"))


def test_random_from_and_masks() -> None:
    assert random_layers(R, OneShotConfig(random_from="64px")) == {"64up", "64conv", "64rgb"}
    assert "32up" in random_layers(R, OneShotConfig(random_from="32px"))
    assert random_layers(1024, OneShotConfig(color="photo")) == {
        "64rgb",
        "128up",
        "128rgb",
        "256up",
        "1024up",
        "1024conv",
        "1024rgb",
    }
    assert random_rows(1024, OneShotConfig(random_rows="m1")) == tuple(range(7, 18))
    assert random_rows(1024, OneShotConfig(color="photo")) == (9, 11, 15, 16, 17)
    assert random_rows(256, OneShotConfig(random_rows="m2-2021")) == (7, 9, 11)
    assert random_rows(64, OneShotConfig(random_rows="1, 2")) == (1, 2)
    for wrong in ({"random_from": "7px"}, {"random_from": "big"}):
        with pytest.raises(InputError, match="random_from"):
            random_layers(R, OneShotConfig(**wrong))
    for mask in ("m9", "30"):
        with pytest.raises(InputError, match="random_rows"):
            random_rows(64, OneShotConfig(random_rows=mask))


def test_family_of_codes_keeps_the_reference_below_the_mask() -> None:
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(random_from="32px"))
    reference = g.synthesis.styles(w_plus)
    a, b = (tuner.mixing.mixed_codes(torch.tensor([0]), tuner.random) for _ in range(2))
    for name in reference:
        fixed = int(name.rstrip("upconvrgb")) < 32
        assert torch.equal(a[name], reference[name]) is fixed
        assert torch.equal(a[name], b[name]) is fixed


def test_color_of_the_photo_makes_the_loss_gray() -> None:
    g, d, images, w_plus = setting()
    swapped = images.roll(1, dims=1)
    shade = gray(images)
    torch.testing.assert_close(shade[:, 0], shade[:, 2])
    assert not torch.allclose(gray(swapped), shade)
    config = OneShotConfig(color="photo", noise="const")
    gray_loss = OneShotTuner(g, d, References(images, w_plus), config).step()
    same = OneShotTuner(g, d, References(shade.clone(), w_plus), config).step()
    assert gray_loss == pytest.approx(same, rel=1e-4)  # only the luma of the reference counts
    assert OneShotTuner(g, d, References(images, w_plus), OneShotConfig(noise="const")).step() != pytest.approx(
        gray_loss, rel=1e-3
    )


def test_batch_bounds_the_references_of_a_step() -> None:
    g, d, images, w_plus = setting(5)
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(batch=2))
    chosen = [tuner._choose() for _ in range(20)]
    assert all(len(index) == 2 for index in chosen)
    assert set(torch.cat(chosen).tolist()) == {0, 1, 2, 3, 4}
    assert len(OneShotTuner(g, d, References(images, w_plus), OneShotConfig(batch=0))._choose()) == 5


def test_weights_of_references() -> None:
    g, d, images, w_plus = setting(2)
    a, b = images
    assert merge_duplicates([a, b, a.clone()]) == ([0, 1], (2.0, 1.0))
    assert merge_duplicates([a, b], [1.0, 3.0]) == ([0, 1], (1.0, 3.0))
    with pytest.raises(ValueError, match="3 weights for 2"):
        References(images, w_plus, (1.0, 1.0, 1.0))
    config = OneShotConfig(noise="const")
    one = [OneShotTuner(g, d, References(images[:1], w_plus[:1], (w,)), config).step() for w in (1.0, 7.0)]
    assert one[0] == one[1]  # one reference: its weight does not matter
    even = OneShotTuner(g, d, References(images, w_plus), config).step()
    odd = OneShotTuner(g, d, References(images, w_plus, (1.0, 5.0)), config).step()
    assert even != odd


def test_bf16_is_near_float32() -> None:
    g, d, images, w_plus = setting()
    exact = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(noise="const")).step()
    near = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(noise="const"), dtype=torch.bfloat16).step()
    assert near == pytest.approx(exact, rel=0.03)
    assert near != exact


def test_saved_changes_rebuild_the_tuned_network() -> None:
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=5))
    tuner.run()
    gaps = weight_deltas(g.synthesis, tuner.synthesis)
    assert all(gap.dtype == torch.float16 for gap in gaps.values())
    rebuilt = apply_deltas(g.synthesis, gaps)
    styles, noise = g.synthesis.styles(w_plus), g.synthesis.noise("const")
    exact = tuner.synthesis.synthesize(styles, noise)
    assert (rebuilt.synthesize(styles, noise) - exact).abs().max() < 1e-2 * exact.abs().max()


def test_strength_goes_from_the_base_to_the_style() -> None:
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=10))
    tuner.run()
    tuned = tuner.synthesis.eval().requires_grad_(False)
    styles, noise = g.synthesis.styles(w_plus), g.synthesis.noise("const")

    def at(strength: float) -> torch.Tensor:
        return render_between(Drawing(g.synthesis, styles), Drawing(tuned, styles), noise, strength)

    assert torch.equal(at(0.0), g.synthesis.synthesize(styles, noise))
    assert torch.equal(at(1.0), tuned.synthesize(styles, noise))
    torch.testing.assert_close(at(1e-6), at(0.0), rtol=0, atol=1e-3)
    torch.testing.assert_close(at(1 - 1e-6), at(1.0), rtol=0, atol=1e-3)
    distance = [float((at(a) - at(0.0)).abs().mean()) for a in (0.25, 0.5, 0.75, 1.0, 1.25)]
    assert distance == sorted(distance)


def test_a_model_of_another_size_tunes_too() -> None:
    g = Generator(GeneratorConfig(32, z_dim=16, w_dim=16, mapping_layers=2, channel_base=1024, channel_max=8)).requires_grad_(
        False
    )
    d = tiny_discriminator(32).requires_grad_(False)
    w_plus = torch.zeros(1, g.num_ws, 16)
    tuner = OneShotTuner(g, d, References(torch.zeros(1, 3, 32, 32), w_plus), OneShotConfig(steps=1, random_from="16px"))
    assert len(tuner.run()) == 1


def test_a_model_without_noise_stays_without() -> None:
    g, d, images, w_plus = setting()
    with torch.no_grad():
        g.synthesis.b64.conv1.noise_strength.zero_()  # type: ignore[union-attr, operator]
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(steps=3))
    tuner.run()
    touched = weight_deltas(g.synthesis, tuner.synthesis)
    assert "b64.conv1.noise_strength" not in touched
    assert "b64.conv0.noise_strength" in touched


@pytest.mark.parametrize("loss", ["discriminator", "pixels", "identity", "efficientnet-lite1"])
def test_losses(loss: str) -> None:
    """Each distance falls while it is the loss, and each leads elsewhere than the discriminator."""
    g, d, images, w_plus = setting()
    given = References(images, w_plus, valid=left_half())
    config = OneShotConfig(loss=loss, random_from="32px", noise="const", learning_rate=0.01)  # type: ignore[arg-type]
    torch.manual_seed(0)
    extractor = efficientnet_maps(EfficientNetLite(64).eval().requires_grad_(False)) if loss == "efficientnet-lite1" else None
    tuner = OneShotTuner(g, d, given, config, extractor=extractor)
    losses = [tuner.step() for _ in range(12)]
    assert sum(losses[-3:]) < sum(losses[:3])
    usual = OneShotTuner(g, d, given, dataclasses.replace(config, loss="discriminator"))
    same = [usual.step() for _ in range(12)] == losses
    assert same == (loss == "discriminator")


def test_identity_maps_see_the_whole_frame_and_pixels_are_pixels() -> None:
    image = torch.randn(1, 3, R, R).clamp(-1, 1)
    assert torch.equal(pixels(image)[0], image)
    judge = identity_maps(read_identity_network())
    maps = judge(image)
    assert len(maps) == 4
    assert all(m.shape[-1] * 2 == n.shape[-1] for n, m in itertools.pairwise(maps))
    assert torch.allclose(maps[0].norm(dim=1), torch.ones(1), atol=1e-4)
    corner = image.clone()
    corner[..., -4:, -4:] *= -1  # outside of the face that the embedding sees
    assert not torch.equal(judge(corner)[0][..., -3:, -3:], maps[0][..., -3:, -3:])


def test_every_loss_is_in_the_one_list_of_extractors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(get_args(Loss)) == set(EXTRACTORS)
    assert all(known.about for known in EXTRACTORS.values())
    g, d, images, w_plus = setting()
    monkeypatch.setattr(feature_network, "_PACKAGE", "no_such_package")
    with pytest.raises(InputError, match="not installed"):
        OneShotTuner(g, d, References(images, w_plus), OneShotConfig(loss="efficientnet-lite1"))
    with pytest.raises(ValueError, match="reference implementation"):
        ReferenceTuner(g, d, References(images, w_plus), OneShotConfig(loss="pixels"))


def test_mean_layers_put_the_mean_face_in_place_of_the_reference() -> None:
    g, d, images, w_plus = setting(2)
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(mean_layers="16up,32up"))
    own, mean = g.synthesis.styles(w_plus), g.synthesis.styles(broadcast(g.mapping.w_avg[None], g.num_ws))
    for name in own:
        wanted = mean[name].expand(2, -1) if name in ("16up", "32up") else own[name]
        assert torch.equal(tuner.mixing.reference_styles[name], wanted)
    with pytest.raises(InputError, match="`mean_layers`"):
        OneShotConfig(mean_layers="16up", space="w_plus", random_rows="5")
    with pytest.raises(InputError, match="names no layer"):
        OneShotTuner(g, d, References(images, w_plus), OneShotConfig(mean_layers="nose"))


def test_color_halves_are_expert_options() -> None:
    """Mask and gray loss are chosen together by `color`, and alone by `random_layers` (the paper's figure 17)."""
    g, d, images, w_plus = setting()

    def made(**options: str) -> tuple[bool, bool]:
        tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(random_from="32px", **options))  # type: ignore[arg-type]
        seen = tuner._seen(images)
        return tuner.mixing.layers == parse_layers("m2", R), bool((seen[:, 0] == seen[:, 1]).all())

    assert made() == (False, False)
    assert made(random_layers="m2") == (True, False)
    assert made(color="photo", random_layers="32px..") == (False, True)
    assert made(color="photo") == (True, True)
