"""Style strength by band: the ends are exact, the way between them is monotone, the text means what it says."""

from itertools import pairwise

import pytest
import torch

from mien.editing import Strength, parse_strength
from mien.editing.lockstep import Drawing, render_between
from mien.errors import InputError
from mien.latents import broadcast
from toys import tiny

R = 64


@pytest.fixture(scope="module")
def networks() -> tuple:
    """A base network, a tuned one, codes of two faces and their noise."""
    torch.manual_seed(0)
    g, other = tiny(R).requires_grad_(False), tiny(R)
    with torch.no_grad():
        tuned = tiny(R).requires_grad_(False).synthesis
        tuned.load_state_dict(g.synthesis.state_dict())
        for (name, p), q in zip(tuned.named_parameters(), other.synthesis.parameters(), strict=True):
            if name.endswith("weight") and "affine" not in name:
                p.lerp_(q, 0.3)
        styles = g.synthesis.styles(broadcast(g.mapping(torch.randn(2, 16)), g.num_ws))
    return g.synthesis, tuned, styles, g.synthesis.noise("const")


def render(networks: tuple, strength: float | Strength, feature_code: torch.Tensor | None = None) -> torch.Tensor:
    base, tuned, styles, noise = networks
    return render_between(Drawing(base, styles), Drawing(tuned, styles), noise, strength, feature_code=feature_code)


def test_the_ends_are_exact(networks: tuple) -> None:
    base, tuned, styles, noise = networks
    assert torch.equal(render(networks, Strength(0, 0, 0)), base.synthesize(styles, noise))
    assert torch.equal(render(networks, Strength(1, 1, 1)), tuned.synthesize(styles, noise))
    assert torch.equal(render(networks, 0.3), render(networks, Strength(0.3, 0.3, 0.3)))


@pytest.mark.parametrize("band", ["coarse", "middle", "fine"])
def test_distance_to_the_base_grows_with_every_band(networks: tuple, band: str) -> None:
    nothing = dict.fromkeys(("coarse", "middle", "fine"), 0.0)
    base = render(networks, 0.0)
    distance = [
        float((render(networks, Strength(**{**nothing, band: a})) - base).abs().mean()) for a in (0.0, 0.3, 0.6, 1.0, 1.4)
    ]
    assert distance[0] == 0.0
    assert all(a < b for a, b in pairwise(distance))


def test_distance_to_the_base_grows_beyond_one(networks: tuple) -> None:
    base = render(networks, 0.0)
    distance = [float((render(networks, a) - base).abs().mean()) for a in (0.2, 0.6, 1.0, 1.3, 1.6)]
    assert distance == sorted(distance)


def test_bands_are_the_blocks_of_their_sizes(networks: tuple) -> None:
    """What a band does not touch is the base's: features up to the first block with a strength of its own."""
    bands = Strength(coarse=1, middle=2, fine=3)
    assert [bands.at(r, 128) for r in (4, 8, 16, 32, 64, 128)] == [1, 1, 2, 2, 3, 3]
    assert [bands.at(r, 32) for r in (4, 8, 16, 32)] == [1, 1, 2, 3]
    low = torch.nn.functional.avg_pool2d

    def gap(strength: Strength, window: int) -> float:
        difference = render(networks, strength) - render(networks, 0.0)
        return float(low(difference, window).abs().mean()) if window > 1 else float(difference.abs().mean())

    fine, coarse = Strength(0, 0, 1), Strength(1, 0, 0)
    assert gap(fine, 16) / gap(fine, 1) < gap(coarse, 16) / gap(coarse, 1)  # coarse changes stay when images shrink


def test_a_feature_code_is_in_every_mixture(networks: tuple) -> None:
    base, tuned, styles, noise = networks
    feature_code = 0.5 * torch.randn(2, base.config.channels(16), 16, 16)
    assert torch.equal(
        render(networks, Strength(0, 0, 0), feature_code), base.synthesize(styles, noise, feature_code=feature_code)
    )
    assert torch.equal(
        render(networks, Strength(1, 1, 1), feature_code), tuned.synthesize(styles, noise, feature_code=feature_code)
    )
    bands = Strength(0, 0.5, 1.5)
    assert torch.equal(render(networks, bands, torch.zeros_like(feature_code)), render(networks, bands))
    assert (render(networks, bands, feature_code) - render(networks, bands)).abs().mean() > 1e-3
    # The whole of it whatever the strength: two equal networks mix to themselves.
    twins = (base, base, styles, noise)
    torch.testing.assert_close(
        render(twins, bands, feature_code), base.synthesize(styles, noise, feature_code=feature_code), rtol=1e-4, atol=1e-4
    )


def test_text() -> None:
    assert parse_strength("0.8") == Strength(0.8, 0.8, 0.8)
    assert parse_strength("coarse=1, middle=0.5,fine=1.2") == Strength(1, 0.5, 1.2)
    assert parse_strength("fine=0") == Strength(1, 1, 0)
    assert parse_strength("0.3,fine=1") == Strength(0.3, 0.3, 1)
    for wrong in ("", "much", "coarse", "1,2", "fine=1,fine=2", "fine=1,0.5", "big=1", "fine=", "nan", "inf", "-1", "fine=-1"):
        with pytest.raises(InputError, match="strength"):
            parse_strength(wrong)
