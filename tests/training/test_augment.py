"""Adaptive augmentation: identity, strength, switches, derivatives, reproducibility, and that the geometry is what it says."""

import math

import pytest
import torch
from torch import Tensor

from mien.training.augment import AdaptiveAugment, disturbance, grid_sampling
from mien.training.augment import transformations as augment
from mien.training.augment.transformations import BLIT, COLOR, GEOMETRY, chain
from mien.training.config import LETTERS

GROUPS = ("blit", "geometry", "color", "filter", "corruption")


def _only(*groups: str, p: float = 1.0) -> AdaptiveAugment:
    return AdaptiveAugment(p, *(group in groups for group in GROUPS))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _smooth(n: int, r: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Band-limited images, so that sampling has a right answer."""
    t = (torch.arange(r, dtype=dtype) + 0.5) / r
    phase = torch.rand(n, 3, 1, 1, generator=_generator(5), dtype=dtype) * 2 * math.pi
    wave: Tensor = (2 * math.pi * (t[None, :] + 2 * t[:, None]) + phase).sin()
    return wave * 0.8


def test_p_zero_is_the_identity_and_draws_nothing() -> None:
    x, g = torch.randn(4, 3, 16, 16), _generator()
    before = g.get_state()
    assert _only(*GROUPS, p=0.0)(x, g) is x
    assert torch.equal(before, g.get_state())


def test_p_one_changes_every_image() -> None:
    x = torch.randn(64, 3, 16, 16, generator=_generator(1))
    y = AdaptiveAugment(1.0)(x, _generator())
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert ((y - x).abs().amax(dim=(1, 2, 3)) > 1e-3).all()


def test_the_same_generator_state_gives_the_same_images() -> None:
    x = torch.randn(8, 3, 16, 16)
    a, b, c = (AdaptiveAugment(0.6)(x, _generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("draw", [*BLIT, *dict.fromkeys(GEOMETRY), *COLOR], ids=lambda d: d.__name__)
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_each_transformation_happens_with_probability_p(draw: augment.Draw, p: float) -> None:
    draws = [draw, draw] if draw is augment.rotation else [draw]  # rotation is split in two
    n = 4000
    matrix, touched = chain(draws, n, 64, torch.tensor(p), _generator())
    changed = ((matrix - torch.eye(matrix.shape[1])).abs().amax(dim=(1, 2)) > 1e-6).float().mean().item()
    # A drawn flip is none in one of two cases, a drawn turn in one of four.
    effective = {augment.flip: 0.5, augment.luma_flip: 0.5, augment.quarter_turn: 0.75}.get(draw, 1.0)
    spread = 4 * math.sqrt(p * (1 - p) / n)
    assert touched.float().mean().item() == pytest.approx(p, abs=spread)
    assert changed == pytest.approx(p * effective, abs=spread + (0.02 if draw is augment.pixel_shift else 0))


def test_sizes_of_the_changes_are_those_of_the_paper() -> None:
    n = 20_000

    def deviation(value: Tensor) -> float:
        return value.std().item()

    assert deviation(augment.isotropic_scale(n, 64, _generator())[:, 0, 0].log2()) == pytest.approx(0.2, rel=0.05)
    assert deviation(augment.anisotropic_scale(n, 64, _generator())[:, 1, 1].log2()) == pytest.approx(0.2, rel=0.05)
    assert deviation(augment.fractional_shift(n, 64, _generator())[:, 0, 2] / 2) == pytest.approx(0.125, rel=0.05)
    assert deviation(augment.brightness(n, 64, _generator())[:, 1, 3]) == pytest.approx(0.2, rel=0.05)
    assert deviation(augment.contrast(n, 64, _generator())[:, 1, 1].log2()) == pytest.approx(0.5, rel=0.05)
    shifts = augment.pixel_shift(n, 64, _generator())[:, 0, 2] * 32
    assert torch.equal(shifts, shifts.round())
    assert shifts.abs().max() == 8
    # Saturation: what is orthogonal to gray is scaled, gray stays.
    matrix = augment.saturation(n, 64, _generator())[:, :3, :3]
    orange = torch.tensor([1.0, 0.0, -1.0])
    assert deviation(((matrix @ orange) @ orange / 2).log2()) == pytest.approx(1.0, rel=0.05)
    assert torch.allclose(matrix @ torch.ones(3), torch.ones(n, 3), atol=1e-5)


@pytest.mark.parametrize("group", GROUPS[:3])
def test_groups_switch(group: str) -> None:
    x = _smooth(16, 16)
    off = dict.fromkeys(GROUPS, False)
    assert torch.equal(AdaptiveAugment(1.0, **off)(x, _generator()), x)
    y = AdaptiveAugment(1.0, **{**off, group: True})(x, _generator())
    assert not torch.equal(y, x)
    if group == "blit":  # the same pixels in another order
        inside = y.flatten(1).sort().values[:, ::97]
        nearest = (inside[:, :, None] - x.flatten(1)[:, None, :]).abs().amin(dim=2)
        assert nearest.max() < 1e-4
    elif group == "color":  # equal colors stay equal
        flat = x.new_tensor([0.3, -0.2, 0.1]).reshape(1, 3, 1, 1).expand(4, 3, 16, 16).contiguous()
        y = AdaptiveAugment(1.0, **{**off, group: True})(flat, _generator())
        assert y.flatten(2).std(dim=2).max() < 1e-5
    else:  # a constant image has nothing to move
        flat = torch.full((4, 3, 16, 16), 0.25)
        assert torch.allclose(AdaptiveAugment(1.0, **{**off, group: True})(flat, _generator()), flat, atol=1e-5)


def _warp(x: Tensor, matrix: Tensor, kind: int) -> Tensor:
    return grid_sampling.sampled(x, matrix.repeat(len(x), 1, 1), torch.full((len(x),), kind))


@pytest.mark.parametrize("kind", [grid_sampling.PIXELS, grid_sampling.SMOOTH])
def test_geometry_agrees_with_exact_flips_turns_and_moves(kind: int) -> None:
    x = _smooth(2, 32)
    tolerance = 1e-4 if kind == grid_sampling.PIXELS else 0.02
    mirror, turn = torch.diag(torch.tensor([-1.0, 1, 1])), torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    move = torch.eye(3)
    move[0, 2] = 2 * 3 / 32  # taken three pixels further right: the image moves left
    inner = (..., slice(4, -4), slice(4, -8))
    assert torch.allclose(_warp(x, mirror, kind)[inner], x.flip(3)[inner], atol=tolerance)
    assert torch.allclose(_warp(x, turn, kind)[inner], x.rot90(1, (2, 3))[inner], atol=tolerance)
    assert torch.allclose(_warp(x, move, kind)[inner], x.roll(-3, 3)[inner], atol=tolerance)


def test_shrinking_does_not_alias() -> None:
    # A pattern above what half the size can hold must fade, not turn into a coarse one.
    stripes = (torch.arange(32) * math.pi * 0.9).cos().expand(1, 3, 32, 32).contiguous()
    half = torch.diag(torch.tensor([2.0, 2.0, 1.0]))
    assert stripes.std() > 0.5
    assert _warp(stripes, half, grid_sampling.SMOOTH)[..., 10:22, 10:22].std() < 0.1


@pytest.mark.parametrize("p", [0.0, 0.2, 0.9])
def test_fixed_shapes_give_the_same_images_from_the_same_numbers(p: float) -> None:
    x = _smooth(32, 16)
    thrifty, fixed = (AdaptiveAugment(p, fixed_shapes=f)(x, _generator()) for f in (False, True))
    assert torch.allclose(thrifty, fixed, atol=1e-5)


def test_the_strength_may_change_in_place() -> None:
    x, augment = _smooth(32, 16), AdaptiveAugment(0.0, fixed_shapes=True)
    assert torch.allclose(augment(x, _generator()), x, atol=1e-5)
    augment.p.fill_(0.9)
    assert torch.equal(augment(x, _generator()), AdaptiveAugment(0.9, fixed_shapes=True)(x, _generator()))


@pytest.mark.parametrize("kind", [grid_sampling.PIXELS, grid_sampling.SMOOTH])
def test_sampling_is_differentiable_twice(kind: int) -> None:
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64, generator=_generator(), requires_grad=True)
    matrix = torch.tensor([[0.9, -0.4, 0.1], [0.3, 1.2, -0.2], [0, 0, 1]])
    assert torch.autograd.gradcheck(lambda t: _warp(t, matrix, kind), (x,))
    assert torch.autograd.gradgradcheck(lambda t: _warp(t, matrix, kind).square(), (x,))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [GROUPS[:3], ("filter",), ("corruption",), GROUPS], ids="-".join)
def test_whole_pipeline_is_differentiable_twice(groups: tuple[str, ...]) -> None:
    x = torch.randn(3, 3, 4, 4, dtype=torch.float64, generator=_generator(), requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: _only(*groups, p=0.7)(t, _generator(2)), (x,))
    assert torch.autograd.gradgradcheck(lambda t: _only(*groups, p=0.7)(t, _generator(2)).square(), (x,))


# --- filtering and corruption ---------------------------------------------------------------------------------------------


def _waves(r: int, cycles: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """A cosine that fits the mirrored borders: [1, 3, r, r], the same in every row."""
    wave = (torch.pi * 2 * cycles / r * (torch.arange(r, dtype=dtype) + 0.5)).cos()
    return wave.expand(1, 3, r, r).contiguous()


def test_the_default_groups_are_those_of_the_paper() -> None:
    assert [getattr(AdaptiveAugment(), group) for group in GROUPS] == [True, True, True, False, False]
    assert LETTERS == "bgcfn"


@pytest.mark.parametrize("r", [8, 16, 64])
def test_the_bands_add_up_to_the_identity(r: int) -> None:
    bands = disturbance._bands(r, torch.device("cpu"), torch.float64)
    assert torch.allclose(bands.sum(dim=0), torch.eye(r, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(bands[0].sum(dim=1), torch.ones(r, dtype=torch.float64)), "only the lowest band has a mean"


@pytest.mark.parametrize(("band", "cycles"), [(0, 2), (1, 6), (2, 12), (3, 26)])
def test_each_frequency_is_in_its_band(band: int, cycles: int) -> None:
    # 64 pixels hold 32 cycles: the bands end at 4, 8, 16 and 32.
    bands, wave = disturbance._bands(64, torch.device("cpu"), torch.float64), _waves(64, cycles)[0, 0, 0]
    shares = [float((own @ wave @ wave) / (wave @ wave)) for own in bands]
    assert max(range(4), key=shares.__getitem__) == band
    assert shares[band] > 0.7
    assert sum(shares) == pytest.approx(1)


def test_gains_are_log_normal_and_keep_the_expected_power() -> None:
    n, power = 40_000, disturbance._POWER
    gains, touched = disturbance.gains(n, torch.tensor(1.0), _generator())
    assert touched.all()
    # Of one band alone, before the others: 2^N(0, 1) against the rest.
    one, chosen = disturbance.gains(n, torch.tensor(0.02), _generator())
    alone = chosen & ((one / one[:, :1] != 1).sum(dim=1) == 1)  # one of the three upper bands only
    ratio = (one[alone] / one[alone][:, :1]).log2()
    assert ratio[ratio != 0].std().item() == pytest.approx(1.0, rel=0.05)
    assert torch.allclose((one[alone].square() * torch.tensor(power)).sum(dim=1), torch.ones(int(alone.sum())), atol=1e-5)
    assert (gains > 0).all()


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_every_disturbance_happens_with_probability_p(p: float) -> None:
    n = 4000
    x = torch.ones(n, 3, 8, 8)
    spread = 4 * math.sqrt(p * (1 - p) / n)
    _, touched = disturbance.gains(n, torch.tensor(p), _generator())
    assert touched.float().mean().item() == pytest.approx(1 - (1 - p) ** 4, abs=2 * spread)
    for change in (disturbance.add_noise, disturbance.cut_out):
        changed = (change(x, torch.tensor(p), _generator()) != x).flatten(1).any(dim=1).float().mean().item()
        assert changed == pytest.approx(p, abs=spread)


def test_filtering_changes_strengths_and_nothing_else() -> None:
    x = _waves(32, 3).expand(50, 3, 32, 32) * 0.5 + 0.1
    y = _only("filter")(x, _generator())
    plain = x[:1] - x[:1].mean()
    # What remains of the wave is the same wave, stronger or weaker; rows, which are constant, get one factor for all.
    wave = y - y.mean(dim=(2, 3), keepdim=True)
    factor = (wave * plain).sum(dim=(1, 2, 3)) / plain.square().sum()
    assert torch.allclose(wave, factor[:, None, None, None] * plain, atol=1e-2)
    assert factor.log2().std() > 0.3
    # Rows and columns are treated alike.
    assert torch.allclose(_only("filter")(x.transpose(2, 3), _generator()), y.transpose(2, 3))


def test_untouched_images_pass_bit_for_bit() -> None:
    x = torch.randn(64, 3, 8, 8, generator=_generator(1))
    y = _only("filter", "corruption", p=0.1)(x, _generator())
    same = (y == x).flatten(1).all(dim=1)
    assert 0.3 < same.float().mean() < 0.7  # none of six: 0.9 ** 6 = 0.53
    assert torch.equal(_only("filter", p=1e-12)(x, _generator()), x)


def test_noise_has_a_half_normal_deviation() -> None:
    x = torch.zeros(3000, 3, 8, 8)
    y = disturbance.add_noise(x, torch.tensor(1.0), _generator())
    deviation = y.flatten(1).std(dim=1)
    assert deviation.mean().item() == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.05)
    assert deviation.square().mean().sqrt().item() == pytest.approx(0.1, rel=0.05)
    assert y.mean().abs() < 1e-3
    one = y[deviation.argmax()]
    assert torch.corrcoef(one.flatten(1))[0, 1].abs() < 0.4, "every channel has its own"


def test_the_hole_is_half_a_side_wide_and_anywhere() -> None:
    r = 32
    holes = disturbance.cut_out(torch.ones(3000, 3, r, r), torch.tensor(1.0), _generator()) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    widths, heights = (holes[:, 0].any(dim=dim).sum(dim=1) for dim in (1, 2))
    assert torch.equal(holes[:, 0].sum(dim=(1, 2)), widths * heights), "it is a rectangle"
    for sides in (widths, heights):
        assert sides.max() in (16, 17)
        assert sides.min() in (7, 8, 9), "half of it may lie outside"
        # A center in the middle half leaves the whole width.
        assert (sides >= 16).float().mean().item() == pytest.approx(0.5, abs=0.06)
    assert holes[:, 0].float().mean(dim=0)[16, 16].item() == pytest.approx(0.25, abs=0.04)
    assert holes[:, 0].float().mean(dim=0)[0, 0].item() == pytest.approx(1 / 16, abs=0.02)


def test_disturbances_are_the_same_for_the_same_generator() -> None:
    x = torch.randn(8, 3, 16, 16)
    a, b, c = (_only("filter", "corruption", p=0.6)(x, _generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_r1_through_the_augmentation() -> None:
    from mien.losses.adversarial import r1_penalty

    weight = torch.randn(3 * 64, requires_grad=True)
    x = torch.randn(4, 3, 8, 8, requires_grad=True)
    r1_penalty((AdaptiveAugment(0.8)(x, _generator()).flatten(1) @ weight).square(), x).backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_p_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        AdaptiveAugment(bad)(torch.zeros(1, 3, 8, 8), _generator())


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="3, R, R"):
        AdaptiveAugment(0.5)(torch.zeros(1, 3, 8, 6), _generator())
