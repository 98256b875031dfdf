"""Adaptive augmentation: identity, strength, switches, derivatives, reproducibility, and that the geometry is what it says."""

import math

import pytest
import torch
from torch import Tensor

from mien.finetune import augment
from mien.finetune.augment import BLIT, COLOUR, GEOMETRY, AdaptiveAugment, chain


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _smooth(n: int, r: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Band-limited pictures, so that sampling has a right answer."""
    t = (torch.arange(r, dtype=dtype) + 0.5) / r
    phase = torch.rand(n, 3, 1, 1, generator=_generator(5), dtype=dtype) * 2 * math.pi
    wave: Tensor = (2 * math.pi * (t[None, :] + 2 * t[:, None]) + phase).sin()
    return wave * 0.8


def test_p_zero_is_the_identity_and_draws_nothing() -> None:
    x, g = torch.randn(4, 3, 16, 16), _generator()
    before = g.get_state()
    assert AdaptiveAugment(0.0)(x, g) is x
    assert torch.equal(before, g.get_state())


def test_p_one_changes_every_picture() -> None:
    x = torch.randn(64, 3, 16, 16, generator=_generator(1))
    y = AdaptiveAugment(1.0)(x, _generator())
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert ((y - x).abs().amax(dim=(1, 2, 3)) > 1e-3).all()


def test_the_same_generator_state_gives_the_same_pictures() -> None:
    x = torch.randn(8, 3, 16, 16)
    a, b, c = (AdaptiveAugment(0.6)(x, _generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("draw", [*BLIT, *dict.fromkeys(GEOMETRY), *COLOUR], ids=lambda d: d.__name__)
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_each_transformation_happens_with_probability_p(draw: augment.Draw, p: float) -> None:
    draws = [draw, draw] if draw is augment.rotation else [draw]  # rotation is split in two
    n = 4000
    matrix, touched = chain(draws, n, 64, p, _generator())
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
    # Saturation: what is orthogonal to grey is scaled, grey stays.
    matrix = augment.saturation(n, 64, _generator())[:, :3, :3]
    orange = torch.tensor([1.0, 0.0, -1.0])
    assert deviation(((matrix @ orange) @ orange / 2).log2()) == pytest.approx(1.0, rel=0.05)
    assert torch.allclose(matrix @ torch.ones(3), torch.ones(n, 3), atol=1e-5)


@pytest.mark.parametrize("group", ["blit", "geometry", "colour"])
def test_groups_switch(group: str) -> None:
    x = _smooth(16, 16)
    off = dict.fromkeys(("blit", "geometry", "colour"), False)
    assert torch.equal(AdaptiveAugment(1.0, **off)(x, _generator()), x)
    y = AdaptiveAugment(1.0, **{**off, group: True})(x, _generator())
    assert not torch.equal(y, x)
    if group == "blit":  # the same pixels in another order
        inside = y.flatten(1).sort().values[:, ::97]
        nearest = (inside[:, :, None] - x.flatten(1)[:, None, :]).abs().amin(dim=2)
        assert nearest.max() < 1e-4
    elif group == "colour":  # equal colours stay equal
        flat = x.new_tensor([0.3, -0.2, 0.1]).reshape(1, 3, 1, 1).expand(4, 3, 16, 16).contiguous()
        y = AdaptiveAugment(1.0, **{**off, group: True})(flat, _generator())
        assert y.flatten(2).std(dim=2).max() < 1e-5
    else:  # a constant picture has nothing to move
        flat = torch.full((4, 3, 16, 16), 0.25)
        assert torch.allclose(AdaptiveAugment(1.0, **{**off, group: True})(flat, _generator()), flat, atol=1e-5)


def _warp(x: Tensor, matrix: Tensor, kind: int) -> Tensor:
    return augment._warp(x, matrix.repeat(len(x), 1, 1), torch.full((len(x),), kind))


@pytest.mark.parametrize("kind", [augment._PIXELS, augment._SMOOTH, augment._SHRUNK])
def test_geometry_agrees_with_exact_flips_turns_and_moves(kind: int) -> None:
    x = _smooth(2, 32)
    tolerance = 1e-4 if kind == augment._PIXELS else 0.02
    mirror, turn = torch.diag(torch.tensor([-1.0, 1, 1])), torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    move = torch.eye(3)
    move[0, 2] = 2 * 3 / 32  # taken three pixels further right: the picture moves left
    inner = (..., slice(4, -4), slice(4, -8))
    assert torch.allclose(_warp(x, mirror, kind)[inner], x.flip(3)[inner], atol=tolerance)
    assert torch.allclose(_warp(x, turn, kind)[inner], x.rot90(1, (2, 3))[inner], atol=tolerance)
    assert torch.allclose(_warp(x, move, kind)[inner], x.roll(-3, 3)[inner], atol=tolerance)


def test_shrinking_does_not_alias() -> None:
    # A pattern above what half the size can hold must fade, not turn into a coarse one.
    stripes = (torch.arange(32) * math.pi * 0.9).cos().expand(1, 3, 32, 32).contiguous()
    half = torch.diag(torch.tensor([2.0, 2.0, 1.0]))
    shrunk, smooth = (_warp(stripes, half, kind)[..., 10:22, 10:22].std() for kind in (augment._SHRUNK, augment._SMOOTH))
    assert shrunk < 0.1 < smooth


def test_the_pipeline_chooses_the_denser_way_where_it_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Tensor] = []
    monkeypatch.setattr(augment, "_warp", lambda pictures, affine, kind: (chosen.append(kind), pictures)[1])
    AdaptiveAugment(1.0, blit=False, colour=False)(torch.zeros(64, 3, 8, 8), _generator())
    assert set(chosen[0].tolist()) == {augment._SMOOTH, augment._SHRUNK}


@pytest.mark.parametrize("kind", [augment._PIXELS, augment._SMOOTH, augment._SHRUNK])
def test_sampling_is_differentiable_twice(kind: int) -> None:
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64, generator=_generator(), requires_grad=True)
    matrix = torch.tensor([[0.9, -0.4, 0.1], [0.3, 1.2, -0.2], [0, 0, 1]])
    assert torch.autograd.gradcheck(lambda t: _warp(t, matrix, kind), (x,))
    assert torch.autograd.gradgradcheck(lambda t: _warp(t, matrix, kind).square(), (x,))


def test_whole_pipeline_is_differentiable_twice() -> None:
    x = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=_generator(), requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: AdaptiveAugment(0.7)(t, _generator(2)), (x,))
    assert torch.autograd.gradgradcheck(lambda t: AdaptiveAugment(0.7)(t, _generator(2)).square(), (x,))


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
