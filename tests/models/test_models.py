"""Contracts of the networks at tiny sizes, and both twins through whole networks."""

from dataclasses import replace

import pytest
import torch

from mien.latents import broadcast, keep_below, mix_rows, mix_styles, num_ws, style_layers, truncate
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import minibatch_std
from mien.models.generator import GeneratorConfig
from mien.ops import use_ops
from toys import tiny, tiny_discriminator

SIZES = [32, 64, 128, 256, 512, 1024]


@pytest.mark.parametrize("resolution", SIZES)
def test_shapes_at_every_size(resolution: int) -> None:
    g, d = tiny(resolution), tiny_discriminator(resolution)
    with torch.inference_mode():
        w_plus = broadcast(g.mapping(torch.randn(1, 16)), g.num_ws)
        image = g(w_plus, g.synthesis.noise("const"))
        logit = d(image)
    k = resolution.bit_length() - 1
    assert g.num_ws == num_ws(resolution) == 2 * k - 2
    assert len(style_layers(resolution)) == 3 * k - 4
    assert len(g.synthesis.noise("none")) == 2 * k - 3
    assert image.shape == (1, 3, resolution, resolution)
    assert logit.shape == (1, 1)
    assert image.std() > 0


def test_layer_table_of_1024() -> None:
    rows = {layer.name: layer.row for layer in style_layers(1024)}
    assert len(rows) == 26
    assert (rows["4conv"], rows["4rgb"], rows["8up"]) == (0, 1, 1)
    assert (rows["32rgb"], rows["64up"]) == (7, 7)  # the double duty of an odd row
    assert rows["1024rgb"] == 17


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_twins_agree_through_both_networks(clamp: float | None) -> None:
    g, d = tiny(clamp=clamp), tiny_discriminator(clamp=clamp)
    for batch in (1, 4):
        z = torch.randn(batch, 16)

        def gradients(z: torch.Tensor = z) -> list[torch.Tensor]:
            w_plus = broadcast(g.mapping(z), g.num_ws)
            image = g(w_plus, g.synthesis.noise("const"))
            loss = d(image).sum()
            return [image, loss, *torch.autograd.grad(loss, list(g.synthesis.parameters()) + list(d.parameters()))]

        fast = gradients()
        with use_ops("plain"):
            plain = gradients()
        for a, b in zip(fast, plain, strict=True):
            assert (a - b).abs().max() <= 1e-3 * b.abs().max() + 1e-6


def test_clamp_acts() -> None:
    free, clamped = tiny(), tiny(clamp=0.125)
    clamped.load_state_dict(free.state_dict())
    codes = torch.randn(1, free.num_ws, 16)
    noise = free.synthesis.noise("const")
    features = clamped.synthesis.features(clamped.synthesis.styles(codes), noise, (8, 32))
    assert all(float(f.detach().abs().max()) <= 0.125 for f in features.values())
    assert not torch.allclose(free(codes, noise), clamped(codes, noise))


def test_noise_is_explicit() -> None:
    g = tiny()
    codes = torch.randn(1, g.num_ws, 16)

    def render(mode: str, seed: int = 0) -> torch.Tensor:
        return g(codes, g.synthesis.noise(mode, 1, torch.Generator().manual_seed(seed)))  # type: ignore[arg-type]

    assert torch.equal(render("const"), render("const"))
    assert torch.equal(render("random", 1), render("random", 1))
    assert not torch.allclose(render("random", 1), render("random", 2))
    assert not torch.allclose(render("none"), render("const"))
    with pytest.raises(ValueError, match=r"torch\.Generator"):
        g.synthesis.noise("random")
    with pytest.raises(ValueError, match="maps"):
        g(codes, [None])


def test_wrong_shapes_are_named() -> None:
    g, d = tiny(), tiny_discriminator()
    with pytest.raises(ValueError, match=r"w_plus must be \[N, 8, 16\], got \[1, 18, 512\]: this model is 32 px"):
        g.synthesis.styles(torch.zeros(1, 18, 512))
    with pytest.raises(ValueError, match="images must be"):
        d(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="power of two"):
        GeneratorConfig(100)


def test_features_are_those_of_the_rendering() -> None:
    g, d = tiny(), tiny_discriminator()
    styles = g.synthesis.styles(torch.randn(2, g.num_ws, 16))
    noise = g.synthesis.noise("const")
    found = g.synthesis.features(styles, noise, (4, 16))
    assert {r: tuple(f.shape) for r, f in found.items()} == {4: (2, 8, 4, 4), 16: (2, 8, 16, 16)}
    image = g.synthesis.synthesize(styles, noise)
    maps = d.features(image, (32, 16, 4))
    assert {r: tuple(f.shape) for r, f in maps.items()} == {32: (2, 8, 32, 32), 16: (2, 8, 16, 16), 4: (2, 8, 4, 4)}
    torch.testing.assert_close(d.b4(maps[4]), d(image))


def test_minibatch_deviation() -> None:
    x = torch.randn(4, 3, 4, 4)
    expected = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    torch.testing.assert_close(minibatch_std(x, 4), expected.expand(4, 1, 4, 4))
    assert minibatch_std(x[:1], 4).abs().max() < 1e-3  # a single image has no deviation
    with pytest.raises(ValueError, match="does not split"):
        minibatch_std(torch.randn(6, 3, 4, 4), 4)


def test_truncation_and_mixing() -> None:
    g = tiny()
    w, mean = torch.randn(2, 16), torch.randn(16)
    rows = broadcast(w, g.num_ws)
    torch.testing.assert_close(truncate(rows, mean, 0.0), mean.expand_as(rows))
    torch.testing.assert_close(truncate(rows, mean, 1.0), rows)
    cut = truncate(rows, mean, 0.5, cutoff=3)
    torch.testing.assert_close(cut[:, 3:], rows[:, 3:])
    torch.testing.assert_close(cut[:, :3], mean + 0.5 * (rows[:, :3] - mean))

    mixed = mix_rows(rows, torch.zeros(2, 16), (5, 7, 17))
    changed = {i for i in range(g.num_ws) if not torch.equal(mixed[:, i], rows[:, i])}
    assert changed == {5, 7}  # rows that this model does not have are left out

    a, b = g.synthesis.styles(rows), g.synthesis.styles(torch.randn(2, g.num_ws, 16))
    kept = keep_below(32, 16)
    assert kept == {"4conv", "4rgb", "8up", "8conv", "8rgb"}
    s = mix_styles(a, b, frozenset(a) - kept)
    assert all(torch.equal(s[name], (a if name in kept else b)[name]) for name in a)


def test_style_codes_are_arithmetic() -> None:
    g = tiny()
    a, b = (g.synthesis.styles(torch.randn(2, g.num_ws, 16)) for _ in range(2))
    torch.testing.assert_close((a + b - b)["8up"], a["8up"])
    torch.testing.assert_close((a * 2.0)["8up"], a["8up"] * 2)
    torch.testing.assert_close(a.lerp(b, 0.25)["32rgb"], torch.lerp(a["32rgb"], b["32rgb"], 0.25))
    assert a.batch == 2
    assert a.select(slice(0, 1)).batch == 1
    with pytest.raises(ValueError, match="different models"):
        a + tiny(64).synthesis.styles(torch.randn(2, 10, 16))


def test_encoder_answers_with_an_offset_to_what_it_is_given() -> None:
    encoder = CompactEncoder(CompactEncoderConfig(32, num_ws=8, w_dim=16, width=8, max_width=16, iterations=2))
    code, image = torch.randn(2, 8, 16), torch.randn(2, 3, 32, 32)
    first = encoder(image, code)
    second = encoder(image, code, image)
    assert first.shape == (2, 8, 16)
    assert not torch.allclose(first, second)  # it looks at the rendering
    torch.testing.assert_close(encoder(image, code + 1) - 1, first, rtol=0, atol=1e-5)


def test_a_feature_code_acts_in_its_block_and_above() -> None:
    g = tiny(32)
    styles, noise = g.synthesis.styles(broadcast(torch.randn(2, 16), g.num_ws)), g.synthesis.noise("const")
    plain = g.synthesis.synthesize(styles, noise)
    nothing = torch.zeros(2, g.config.channels(16), 16, 16)
    assert torch.equal(g.synthesis.synthesize(styles, noise, feature_code=nothing), plain)
    feature_code = nothing.clone()
    feature_code[:, :, 4, 4] = 1.0
    changed = (g.synthesis.synthesize(styles, noise, feature_code=feature_code) - plain).abs().amax(dim=(0, 1))
    assert changed[8:10, 8:10].min() > 0
    assert changed[16:, 16:].max() == 0  # a spot of the map is a spot of the image


def test_an_encoder_with_a_feature_code() -> None:
    config = CompactEncoderConfig(32, 8, 16, width=8, max_width=16, detail_channels=5)
    encoder = CompactEncoder(config)
    image, start = torch.randn(2, 3, 32, 32), torch.zeros(2, 8, 16)
    code, feature_code = encoder.look(image, start)
    assert torch.equal(code, encoder(image, start))
    assert feature_code is not None
    assert feature_code.shape == (2, 5, 16, 16)
    assert feature_code.abs().max() == 0  # nothing is said before it is learned
    assert CompactEncoder(replace(config, detail_channels=0)).look(image, start)[1] is None
    with pytest.raises(ValueError, match="needs an encoder of more"):
        CompactEncoder(replace(config, resolution=16))
