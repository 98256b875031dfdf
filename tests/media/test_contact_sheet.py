"""Contact sheets: geometry, captions, determinism."""

import pytest
import torch

from mien.media.contact_sheet import sheet


def _flat(r: float, g: float, b: float, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.tensor([float(r), g, b])[:, None, None].expand(3, height, width)


def test_cells_hold_their_images_in_place() -> None:
    red, blue = _flat(1, -1, -1), _flat(-1, -1, 1)
    made = sheet([[red, None], [None, blue]], gap=2)
    assert made.shape == (3, 22, 22)
    assert made.min() >= -1
    assert made.max() <= 1
    assert torch.allclose(made[:, 2:10, 2:10], red, atol=0.01)
    assert torch.allclose(made[:, 12:20, 12:20], blue, atol=0.01)
    assert (made[:, 2:10, 12:20] == 1).all()
    assert (made[:, :2] == 1).all()


def test_short_rows_are_filled_and_images_fit_their_cells() -> None:
    wide = _flat(-1, -1, -1, 10, 20)
    made = sheet([[wide, wide], [wide]], size=20, gap=0)
    assert made.shape == (3, 40, 40)
    dark = made[0, :20, :20] < 0
    assert dark[5:15].all()
    assert not dark[:5].any()
    assert not dark[15:].any()
    assert (made[:, 20:, 20:] == 1).all()


def test_size_scales_and_defaults_to_the_largest_image() -> None:
    assert sheet([[_flat(0, 0, 0), _flat(0, 0, 0, 16, 4)]], gap=0).shape == (3, 16, 32)
    assert sheet([[_flat(0, 0, 0)]], size=40, gap=1).shape == (3, 42, 42)


def test_labels_make_room_and_are_written() -> None:
    image = _flat(0, 0, 0, 64, 64)
    plain = sheet([[image] * 2] * 2)
    both = sheet([[image] * 2] * 2, row_labels=["first", "a second row"], column_labels=["psi 0.7", "psi 1.0"])
    assert both.shape[1] > plain.shape[1]
    assert both.shape[2] > plain.shape[2]
    rows = both.shape[1] - plain.shape[1]
    columns = both.shape[2] - plain.shape[2]
    # The images themselves are untouched by captions.
    assert torch.equal(both[:, rows:, columns:], plain)
    assert (both[:, :rows, columns:] < 0).any()
    assert (both[:, rows:, :columns] < 0).any()
    # Other words give another sheet, the same words the same one.
    again = sheet([[image] * 2] * 2, row_labels=["first", "a second row"], column_labels=["psi 0.7", "psi 1.0"])
    other = sheet([[image] * 2] * 2, row_labels=["first", "a second row"], column_labels=["psi 0.7", "psi 0.9"])
    assert torch.equal(both, again)
    assert not torch.equal(both, other)


def test_captions_stand_below_their_cells() -> None:
    image = _flat(0, 0, 0, 64, 64)
    plain = sheet([[image] * 2] * 2)
    made = sheet([[image] * 2] * 2, captions=[["0.53", None], [None, "a nose"]])
    under = (made.shape[1] - plain.shape[1]) // 2
    assert under > 0
    assert made.shape[2] == plain.shape[2]
    # The images keep their columns and move down row by row.
    assert torch.equal(made[:, :68], plain[:, :68])
    assert torch.equal(made[:, 68 + under : 136 + under], plain[:, 68:136])
    first, second = made[:, 68 : 68 + under], made[:, 136 + under : 136 + 2 * under]
    assert (first[..., :68] < 0).any()
    assert (first[..., 68:] == 1).all()
    assert (second[..., :68] == 1).all()
    assert (second[..., 68:] < 0).any()
    with pytest.raises(ValueError, match="laid out as the rows"):
        sheet([[image] * 2], captions=[["one"]])


def test_long_captions_stay_inside_their_column() -> None:
    image = _flat(1, 1, 1, 64, 64)
    made = sheet([[image, image]], column_labels=["x", "an_unbreakably_long_name_of_a_file and words"], gap=4)
    assert (made[:, :, 4:60][:, :, 24:40] < 0.5).any()  # the short one, in the middle of its column
    assert (made[:, :, -4:] == 1).all()
    assert (made[:, :, 60:72] == 1).all()


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        sheet([])
    with pytest.raises(ValueError, match=r"\[3, H, W\]"):
        sheet([[torch.zeros(1, 3, 8, 8)]])
    with pytest.raises(ValueError, match="2 columns"):
        sheet([[_flat(0, 0, 0)] * 2], column_labels=["one"])
    with pytest.raises(ValueError, match="1 rows"):
        sheet([[_flat(0, 0, 0)]], row_labels=["a", "b"])
