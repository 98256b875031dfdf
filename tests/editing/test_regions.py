"""Parts of a face in a model: clusters, places, memberships, the file, and what is steered with them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mien.checkpoint import native
from mien.checkpoint.regions_file import Regions
from mien.editing import Control, Steering, feature_masks, virtual_inversion
from mien.editing import regions as finding
from mien.editing.clusters import nearest, seeded_centers, spherical_kmeans
from mien.editing.lockstep import Drawing, render_between
from mien.editing.regions import FFHQ_POINTS, PARTS, find_regions, mean_face_points, places, region_maps
from mien.editing.regions_sheet import draw_regions
from mien.errors import CheckpointError, InputError, ModelMismatchError
from mien.latents import StyleCodes, style_layers
from mien.models.sampling import random_codes
from mien.oneshot.config import OneShotConfig
from mien.oneshot.layer_masks import parse_layers, parse_mask
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from toys import setting, tiny

R = 64
POINTS = torch.tensor(FFHQ_POINTS)
NAMES = tuple(PARTS)


def made_up(resolution: int = R, channels: int = 8) -> Regions:
    """Regions of a tiny model: channel 0 drives the eyes, 1 the mouth, the others the skin; the eyes are the upper left."""
    shares = torch.zeros(len(NAMES), channels)
    shares[NAMES.index("skin"), 2:] = 1
    shares[NAMES.index("eyes"), 0] = shares[NAMES.index("mouth"), 1] = 1
    place = torch.zeros(len(NAMES), 32, 32)
    place[NAMES.index("skin")] = 1
    place[:, :16, :16] = 0
    place[NAMES.index("eyes"), :16, :16] = 1
    owners = torch.tensor([NAMES.index("eyes"), NAMES.index("skin")])
    membership = {layer.name: shares for layer in style_layers(resolution)}
    return Regions("base", NAMES, 32, F.normalize(torch.ones(2, channels), dim=1), owners, place, membership)


# --- clusters -----------------------------------------------------------------------------------------------------------------


def test_clusters_are_directions_and_keep_the_names_of_their_seeds() -> None:
    torch.manual_seed(0)
    directions = F.normalize(torch.randn(3, 16), dim=1)
    truth = torch.arange(300) % 3
    vectors = (directions[truth] + 0.1 * torch.randn(300, 16)) * (1 + torch.rand(300, 1) * 9)
    seeds = truth.clone()
    seeds[torch.rand(300) < 0.3] = 0  # a third of the seeds is wrong
    first, owners = seeded_centers(vectors, seeds, [1, 1, 1], torch.Generator().manual_seed(0))
    centers = spherical_kmeans(vectors, first, torch.zeros(300, 3))
    assert owners.tolist() == [0, 1, 2]
    assert torch.equal(owners[nearest(vectors, centers, torch.zeros(300, 3))], truth)
    assert (centers * directions).sum(dim=1).min() > 0.99


def test_seeds_of_one_label_are_spread_and_empty_labels_have_none() -> None:
    vectors = torch.eye(4).repeat_interleave(5, dim=0)
    labels = torch.tensor([0] * 15 + [2] * 5)
    centers, owners = seeded_centers(vectors, labels, [3, 2, 1], torch.Generator().manual_seed(1))
    assert owners.tolist() == [0, 0, 0, 2]
    assert len({tuple(c.tolist()) for c in centers[1:]}) == 3


def test_the_prior_decides_where_directions_do_not() -> None:
    vectors, centers = torch.ones(2, 4), F.normalize(torch.ones(2, 4), dim=1)
    assert nearest(vectors, centers, torch.tensor([[0.0, 0.1], [0.1, 0.0]])).tolist() == [1, 0]
    alone = spherical_kmeans(vectors, torch.eye(4)[:2], torch.tensor([[9.0, 0.0], [9.0, 0.0]]))
    torch.testing.assert_close(alone[0], centers[0])
    assert torch.equal(alone[1], torch.eye(4)[1])  # nothing belongs to it


# --- finding ------------------------------------------------------------------------------------------------------------------


def test_places_of_the_mean_face() -> None:
    head = torch.ones(1, 64, 64, dtype=torch.bool)
    head[:, :, :6] = False
    label = places(POINTS, head)[0]

    def at(x: float, y: float) -> str:
        return NAMES[int(label[int(y * 64), int(x * 64)])]

    for (x, y), part in zip(FFHQ_POINTS, ("eyes", "eyes", "nose", "mouth", "mouth"), strict=True):
        assert at(x, y) == part
    assert at(0.375, 0.385) == at(0.625, 0.385) == "brows"
    assert at(0.5, 0.88) == "jaw"
    assert at(0.3, 0.6) == at(0.5, 0.3) == "skin"
    assert at(0.5, 0.05) == at(0.15, 0.5) == "hair"
    assert at(0.5, 0.98) == "neck"
    assert at(0.02, 0.5) == "background"


@pytest.mark.parametrize("resolution", [32, 128])
def test_regions_of_any_model(resolution: int, tmp_path: Path) -> None:
    g = tiny(resolution).requires_grad_(False)
    seen: list[int] = []
    found = find_regions(g, "base", POINTS, faces=4, progress=lambda step, *_: seen.append(step))
    assert seen == list(range(1, 9))
    assert list(found.membership) == [layer.name for layer in style_layers(resolution)]
    for layer, shares in found.membership.items():
        assert shares.shape == (len(PARTS), g.synthesis.layer(layer).weight.shape[1])
        torch.testing.assert_close(shares.sum(dim=0), torch.ones(shares.shape[1]))
    again, other = find_regions(g, "base", POINTS, faces=4), find_regions(g, "base", POINTS, faces=4, seed=1)
    assert torch.equal(found.membership["8conv"], again.membership["8conv"])
    assert not torch.equal(found.membership["8conv"], other.membership["8conv"])
    styles = g.synthesis.styles(random_codes(g, 2))
    maps = region_maps(found, g.synthesis.features(styles, g.synthesis.noise("const"), (found.size,))[found.size])
    assert maps.shape == (2, len(PARTS), 32, 32)
    assert torch.equal(maps.sum(dim=1), torch.ones(2, 32, 32))
    assert draw_regions(g, found, faces=2).shape[0] == 3


def test_a_channel_belongs_to_the_part_where_it_is_active() -> None:
    g = tiny(32).requires_grad_(False)
    parts = torch.zeros(3, 4, 4)
    parts[0, 1, 1] = parts[1, 2, 2] = 1
    parts[2] = 1 - parts[0] - parts[1]
    const = g.synthesis.block(4).const
    const.normal_(std=0.1)
    const[0, 1, 1] = const[1, 2, 2] = 10.0
    sums = finding._Contributions(g)
    for seed in (0, 1):
        with sums.watching(parts):
            g.synthesis.synthesize(g.synthesis.styles(random_codes(g, 1, seed=seed)), g.synthesis.noise("const"))
    shares = sums.membership()["4conv"]
    assert shares[0, 0] > 0.99
    assert shares[1, 1] > 0.99
    assert not g.synthesis.layer("4conv")._forward_pre_hooks


def test_points_of_the_mean_face() -> None:
    with pytest.warns(UserWarning, match="No face was found"):
        assert torch.equal(mean_face_points(tiny(32)), POINTS)


# --- the file -----------------------------------------------------------------------------------------------------------------


def test_file(tmp_path: Path) -> None:
    regions = made_up()
    regions.save(tmp_path / "r.safetensors")
    again = Regions.load(tmp_path / "r.safetensors")
    assert (again.base, again.names, again.size) == (regions.base, regions.names, regions.size)
    assert torch.equal(again.membership["64conv"], regions.membership["64conv"])
    assert torch.equal(again.place, regions.place)
    assert torch.equal(again.owners, regions.owners)
    with pytest.raises(ModelMismatchError, match="mien regions"):
        again.check_fits(tiny(32), "another")
    tensors, document = native.read(tmp_path / "r.safetensors")
    broken = (
        ({"kind": "style"}, {}, "not a file of regions"),
        ({"base": 3}, {}, "damaged"),
        ({"names": ["eyes"]}, {}, "damaged"),
        ({"size": 16}, {}, "damaged"),
        ({}, {"owners": torch.tensor([0, 99])}, "damaged"),
        ({}, {"owners": torch.tensor([0.0, 1.0])}, "damaged"),
        ({}, {"centres": torch.zeros(3)}, "damaged"),
        ({}, {"membership.4conv": torch.zeros(2, 8)}, "damaged"),
    )
    for changed, replaced, words in broken:
        parts = {**document, **changed}
        kind = parts.pop("kind")
        parts.pop("version")
        native.write(tmp_path / "b.safetensors", kind, {**tensors, **replaced}, parts)
        with pytest.raises(CheckpointError, match=words):
            Regions.load(tmp_path / "b.safetensors")


def test_weights_channels_and_counts() -> None:
    regions = made_up()
    assert regions.weights({"eyes": 0.5, "skin": 1.0})["8up"].tolist() == [0.5, 0.0, 1, 1, 1, 1, 1, 1]
    assert regions.channels("mouth")["64rgb"].tolist() == [False, True] + [False] * 6
    layers = len(style_layers(R))
    assert regions.counts()["eyes"] == layers
    assert regions.counts()["skin"] == 6 * layers


# --- control ------------------------------------------------------------------------------------------------------------------


def test_amounts_and_controls() -> None:
    assert not Control()
    assert Control(keep={"eyes": 1.0})
    with pytest.raises(InputError, match="at once"):
        Control({"eyes": 1.0}, {"eyes": 0.5})
    for keep, exaggerate in (({"eyes": 1.5}, {}), ({}, {"eyes": 2.5}), ({}, {"ears": 1.0})):
        with pytest.raises(InputError, match="amount from 0"):
            Control(keep, exaggerate)


def codes(value: float) -> StyleCodes:
    return StyleCodes({layer.name: torch.full((2, 8), value) for layer in style_layers(R)})


def test_the_virtual_inverter_blends_channel_by_channel() -> None:
    def blended(control: Control) -> StyleCodes:
        return virtual_inversion(made_up(), control, codes(1.0), codes(0.0), R)

    kept, exaggerated = blended(Control(keep={"eyes": 1.0})), blended(Control(exaggerate={"eyes": 0.7, "mouth": 1.5}))
    for layer in style_layers(R):
        pose = layer.resolution < 16
        expected = ([1.0] * 8, [1.0] * 8) if pose else ([1.0] + [0.0] * 7, [0.3, -0.5] + [1.0] * 6)
        for found, values in zip((kept, exaggerated), expected, strict=True):
            torch.testing.assert_close(found[layer.name], torch.tensor(values).expand(2, -1))
    both = blended(Control({"eyes": 0.5}, {"mouth": 0.2}))
    torch.testing.assert_close(both["32conv"][0], torch.tensor([0.5, 0.8] + [0.0] * 6))


def test_the_tuner_mixes_the_given_codes() -> None:
    g, d, images, w_plus = setting()
    given = g.synthesis.styles(w_plus).map(lambda s: s + 1)
    tuner = OneShotTuner(g, d, References(images, w_plus, styles=given), OneShotConfig(random_from="64px"))
    assert torch.equal(tuner.mixing.mixed_codes(torch.tensor([0]), tuner.random)["16conv"], given["16conv"])


def test_masks_by_parts_of_the_face() -> None:
    regions = made_up()
    features = feature_masks(regions, ["eyes", "mouth"], R)
    assert parse_mask("m1", R, features) == parse_layers("m1", R)
    mask = parse_mask("eyes,mouth,64px", R, features)
    assert isinstance(mask, dict)
    assert mask["4conv"].sum() == mask["8up"].sum() == 0  # the pose is not the eyes'
    assert mask["16up"].tolist() == [True, True] + [False] * 6
    assert mask["64up"].all()
    with pytest.raises(InputError, match="names no layer"):
        parse_mask("nose", R, features)
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus, part_channels=features), OneShotConfig(random_layers="eyes"))
    a, b = (tuner.mixing.mixed_codes(torch.tensor([0]), tuner.random) for _ in range(2))
    assert (a["16up"][0] != b["16up"][0]).tolist() == [True] + [False] * 7
    assert torch.equal(a["8up"], b["8up"])


def test_what_is_exaggerated_goes_towards_the_references_code() -> None:
    g = tiny(R).requires_grad_(False)
    person, reference = random_codes(g, 1, seed=1), random_codes(g, 2, seed=2)
    styles = g.synthesis.styles(person)
    goal = g.synthesis.styles(reference).map(lambda s: s.mean(dim=0, keepdim=True))
    moved = Steering(made_up(), Control(exaggerate={"eyes": 0.5}), reference).steer(g.synthesis, styles)
    torch.testing.assert_close(moved["32up"][0, 0], (styles["32up"][0, 0] + goal["32up"][0, 0]) / 2)
    assert torch.equal(moved["32up"][0, 1:], styles["32up"][0, 1:])
    assert torch.equal(moved["8up"], styles["8up"])
    assert Steering(made_up(), Control(keep={"eyes": 1.0})).steer(g.synthesis, styles) is styles


def test_what_is_kept_has_the_shape_of_the_base_model_there() -> None:
    torch.manual_seed(0)
    g, other = tiny(R).requires_grad_(False), tiny(R)
    tuned = tiny(R).requires_grad_(False).synthesis
    tuned.load_state_dict(g.synthesis.state_dict())
    with torch.no_grad():
        for (name, p), q in zip(tuned.named_parameters(), other.synthesis.parameters(), strict=True):
            if name.endswith("weight") and "affine" not in name:
                p.lerp_(q, 0.3)
    styles, noise = g.synthesis.styles(random_codes(g, 1)), g.synthesis.noise("const")
    regions = replace(made_up(), centers=F.normalize(torch.ones(2, g.config.channels(32)), dim=1))

    def kept(amount: float) -> torch.Tensor:
        steering = Steering(regions, Control(keep={"eyes": amount}))
        where = steering.kept(g.synthesis, styles, noise, torch.float32)
        assert where is not None
        return where

    assert kept(1.0)[0, 0, :14, :14].min() == 1
    assert kept(1.0)[0, 0, 20:].max() == kept(1.0)[0, 0, :, 20:].max() == 0
    torch.testing.assert_close(kept(0.5), kept(1.0) / 2)
    assert Steering(regions, Control(exaggerate={"eyes": 1.0})).kept(g.synthesis, styles, noise, torch.float32) is None

    def render(where: torch.Tensor | None, strength: float = 1.0) -> torch.Tensor:
        return render_between(Drawing(g.synthesis, styles), Drawing(tuned, styles), noise, strength, kept=where)

    torch.testing.assert_close(render(torch.zeros(1, 1, 32, 32)), render(None))
    assert torch.equal(render(kept(1.0), 0.0), g.synthesis.synthesize(styles, noise))
    gap = (render(kept(1.0)) - render(None)).abs().mean(dim=1)[0]
    assert gap[:24, :24].mean() > 3 * gap[44:, 44:].mean()
    weaker = (render(kept(0.5)) - render(None)).abs().mean(dim=1)[0]
    assert 0 < weaker[:24, :24].mean() < gap[:24, :24].mean()


@pytest.mark.slow
def test_channels_of_a_part_change_it_most_in_the_embedded_model() -> None:
    """Other codes in the channels of the eyes change the eyes most, and so for brows and mouth."""
    from mien.pipeline import Stylizer

    stylizer = Stylizer.load()
    g, regions = stylizer.model.generator, stylizer.regions
    noise, faces = g.synthesis.noise("const"), random_codes(g, 4, seed=3)
    with torch.inference_mode():
        styles, others = g.synthesis.styles(faces), g.synthesis.styles(random_codes(g, 4, seed=4, psi=1.0))
        before = g.synthesis.synthesize(styles, noise)
        maps = F.interpolate(
            region_maps(regions, g.synthesis.features(styles, noise, (regions.size,))[regions.size]), before.shape[-2:]
        )
        for part in ("eyes", "brows", "mouth"):
            weights = {n: w for n, w in regions.weights({part: 1.0}).items() if int(n.rstrip("upconvrgb")) >= 16}
            moved = StyleCodes(
                {n: torch.lerp(s, others[n], weights[n]) if n in weights else s for n, s in styles.layers.items()}
            )
            change = (g.synthesis.synthesize(moved, noise) - before).abs().mean(dim=1, keepdim=True)
            inside = float((change * maps[:, NAMES.index(part)][:, None]).sum() / maps[:, NAMES.index(part)].sum())
            assert inside > 1.3 * float(change.mean()), part
