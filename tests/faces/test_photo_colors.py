"""The photo's colors on a drawn face."""

import torch

from mien.faces.photo_colors import towards_photo


def test_colors_go_towards_the_photo_and_lines_stay() -> None:
    size = 64
    photo = torch.tensor([0.6, 0.1, -0.2])[:, None, None].expand(3, size, size)
    drawn = torch.tensor([-0.2, 0.0, 0.5])[:, None, None].repeat(1, size, size)
    drawn[:, :, ::8] -= 0.3  # lines
    assert towards_photo(drawn, photo, 0.0) is drawn
    half, whole = towards_photo(drawn, photo, 0.5), towards_photo(drawn, photo, 1.0)
    own, wanted = drawn.mean(dim=(1, 2)), photo.mean(dim=(1, 2))
    torch.testing.assert_close(whole.mean(dim=(1, 2)), wanted, atol=0.02, rtol=0)
    torch.testing.assert_close(half.mean(dim=(1, 2)), (own + wanted) / 2, atol=0.02, rtol=0)
    contrast = [float((x[:, :, 1::8] - x[:, :, ::8]).mean()) for x in (drawn, whole)]
    assert contrast[1] > 0.8 * contrast[0]
