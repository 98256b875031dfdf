"""Colors as people see them, against the published values of the primaries."""

import pytest
import torch

from mien.metrics.color import skin_color, to_lab

# CIE L*a*b* (D65) of sRGB, as Lindbloom's calculator gives them.
_KNOWN = {
    (255, 255, 255): (100.0, 0.0, 0.0), (0, 0, 0): (0.0, 0.0, 0.0), (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18), (0, 0, 255): (32.30, 79.19, -107.86), (119, 119, 119): (50.03, 0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("rgb", _KNOWN)
def test_lab_of_known_colors(rgb: tuple[int, int, int]) -> None:
    image = (torch.tensor(rgb) / 127.5 - 1).reshape(1, 3, 1, 1)
    assert to_lab(image).flatten().tolist() == pytest.approx(_KNOWN[rgb], abs=0.05)


def test_skin_is_looked_for_below_the_eyes_and_above_the_mouth() -> None:
    crops = torch.ones(1, 3, 100, 100)
    crops[:, :, 51:68, 36:64] = -1
    assert skin_color(crops).abs().max() < 1e-6
    crops[:, :, :51] = -1
    assert skin_color(crops).abs().max() < 1e-6
