"""Masks in words, what they change, and the warning of codes that differ too little."""

import warnings

import pytest
import torch

from mien.errors import InputError
from mien.latents import broadcast, style_layers
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig
from mien.oneshot.fit import learn
from mien.oneshot.layer_masks import (
    PRESETS,
    mask_effects,
    mask_sheet,
    parse_layers,
    random_layers,
    random_rows,
    too_few_codes,
    usual_masks,
)
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from toys import setting, tiny

SIZES = (32, 64, 256, 1024)


@pytest.mark.parametrize("resolution", SIZES)
def test_every_kind_of_part(resolution: int) -> None:
    every = {layer.name for layer in style_layers(resolution)}
    assert parse_layers("4px..", resolution) == parse_layers("all", resolution) == every
    assert parse_layers("8px", resolution) == {"8up", "8conv", "8rgb"}
    assert parse_layers("..8px", resolution) == {"4conv", "4rgb", "8up", "8conv", "8rgb"}
    assert parse_layers("8px..16px:rgb", resolution) == {"8rgb", "16rgb"}
    assert parse_layers("16conv, 4rgb", resolution) == {"16conv", "4rgb"}
    assert parse_layers("top", resolution) == {f"{resolution}{kind}" for kind in ("up", "conv", "rgb")}
    assert parse_layers("16px..:rgb", resolution) == {n for n in every if n.endswith("rgb")} - {"4rgb", "8rgb"}
    for wrong in ("", "7px", "64", "2048px", "64px:down", "16conv,,4rgb", "m9", "..", ":rgb"):
        with pytest.raises(InputError, match="names no layer"):
            parse_layers(wrong, resolution)


def test_presets_are_the_published_masks() -> None:
    assert parse_layers("m1", 1024) == {"32rgb"} | random_layers(1024, OneShotConfig())
    rows = random_rows(1024, OneShotConfig(space="w_plus"))
    assert parse_layers("m1", 1024) == {layer.name for layer in style_layers(1024) if layer.row in rows}
    assert parse_layers("m2", 1024) == random_layers(1024, OneShotConfig(color="photo"))
    assert parse_layers("m2", 256) == {"64rgb", "128up", "128rgb", "256up", "256conv", "256rgb"}
    for resolution in SIZES[1:]:
        assert all(parse_layers(name, resolution) for name in PRESETS)
    assert set(usual_masks(32)) & set(PRESETS) == {"m2", "color", "features", "all"}


def test_random_layers_are_the_random_ones_of_the_family() -> None:
    g, d, images, w_plus = setting()
    for text in ("color", "32px", "8up,64conv"):
        tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(random_layers=text))
        a, b = (
            tuner.mixing.mixed_codes(torch.tensor([0]), tuner.random),
            tuner.mixing.mixed_codes(torch.tensor([0]), tuner.random),
        )
        assert {name for name in a if not torch.equal(a[name], b[name])} == parse_layers(text, 64)
    # Half of `color="photo"` alone: the mask without the gray loss, and the gray loss with another mask.
    half = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(random_layers="m2"))
    assert half.mixing.layers == random_layers(64, OneShotConfig(color="photo"))
    assert OneShotTuner(
        g, d, References(images, w_plus), OneShotConfig(color="photo", random_layers="color")
    ).mixing.layers == parse_layers("color", 64)
    with pytest.raises(InputError, match="`random_layers`"):
        OneShotConfig(space="w_plus", random_layers="m2")


def test_effects_grow_with_the_mask_and_are_nothing_without_one() -> None:
    g = tiny(64).requires_grad_(False)
    face = broadcast(g.mapping(torch.randn(1, 16)), g.num_ws)
    masks = {"none": [], "one": ["64rgb"], "more": ["64rgb", "64up", "64conv"], "all": parse_layers("all", 64)}
    found = dict(mask_effects(g, face, masks, count=3, seed=1))
    assert list(found) == list(masks)
    shares = [effect.share for effect in found.values()]
    assert shares[0] == 0.0
    assert all(0 < share < 1 for share in shares[1:3])
    assert shares[-1] == pytest.approx(1.0)
    assert found["one"].swapped.shape == (3, 3, 64, 64)
    assert found["one"].difference.shape == (64, 64)
    again = dict(mask_effects(g, face, masks, count=3, seed=1))
    assert again["one"].share == found["one"].share
    assert dict(mask_effects(g, face, masks, count=3, seed=2))["one"].share != found["one"].share


def test_too_small_a_family_is_told_once_and_the_usual_ones_are_not() -> None:
    g, _, _, w_plus = setting()
    for layers in ("64px..", "m1", "m2", "16px.."):
        assert too_few_codes(g, w_plus, parse_layers(layers, 64)) is None
    told = too_few_codes(g, w_plus, frozenset())
    assert told is not None
    assert "differ too little" in told
    assert "mien masks" in told


def test_the_sheet_has_a_row_per_mask() -> None:
    g = tiny(32).requires_grad_(False)
    face = broadcast(g.mapping(torch.randn(1, 16)), g.num_ws)
    seen: list[tuple[int, int]] = []
    drawn, shares = mask_sheet(
        g, face, {"8px": parse_layers("8px", 32), "32rgb": ["32rgb"]}, shown=2, progress=lambda a, b, _: seen.append((a, b))
    )
    assert list(shares) == ["8px", "32rgb"]
    assert seen == [(1, 2), (2, 2)]
    assert drawn.shape[0] == 3
    other, _ = mask_sheet(g, face, {"8px": parse_layers("8px", 32)}, shown=2)
    assert 1.5 < drawn.shape[1] / other.shape[1] < 2


def test_learning_warns() -> None:
    g, d, images, w_plus = setting()
    # A layer that does nothing: the family around it is one code.
    g.synthesis.layer("8up").affine.weight.zero_()
    references = References(images, w_plus)
    with pytest.warns(UserWarning, match="differ too little"):
        learn(Model(g, d), references, OneShotConfig(steps=1, random_layers="8up"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        learn(Model(g, d), references, OneShotConfig(steps=1))
