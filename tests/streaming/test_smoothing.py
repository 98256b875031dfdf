"""Smoothing in time: noise goes, changes come at once, steadiness says how much."""

import pytest
import torch

from mien.latents import Codes
from mien.streaming.smoothing import CodeSmoother, OneEuro


def run(steadiness: float, signal: torch.Tensor) -> torch.Tensor:
    smooth = OneEuro((-1,), steadiness)
    return torch.stack([smooth(value, 1 / 30) for value in signal])


def test_noise_is_smoothed_the_more_the_steadier() -> None:
    still = 1 + 0.02 * torch.randn(60, 4, 64)
    spread = [float(run(s, still)[20:].std(dim=0).mean()) for s in (0.0, 0.4, 1.0)]
    assert spread[0] == pytest.approx(0.02, rel=0.1)
    assert spread[0] > 1.6 * spread[1] > 1.6 * spread[2]


def test_a_change_is_followed_within_three_frames_where_it_is() -> None:
    signal = torch.ones(20, 2, 64)
    signal[10:, 1] = -1  # a place changes, the other does not
    smooth = run(0.8, signal)
    assert float(smooth[13, 1].mean()) < -0.8
    assert torch.allclose(smooth[:, 0], torch.ones(20, 64))


def test_codes_keep_their_shapes_and_may_lack_a_feature_code() -> None:
    smooth = CodeSmoother(0.8)
    codes = Codes(torch.randn(1, 14, 16), torch.randn(1, 8, 4, 4))
    assert torch.equal(smooth(codes, 0.03).w_plus, codes.w_plus)
    later = smooth(Codes(torch.randn(1, 14, 16), torch.randn(1, 8, 4, 4)), 0.03)
    assert later.feature_code is not None
    assert later.feature_code.shape == (1, 8, 4, 4)
    assert CodeSmoother(0.8)(Codes(codes.w_plus), 0.03).feature_code is None
