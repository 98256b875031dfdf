"""Quality by group: labels, figures of known pairs, the table."""

from pathlib import Path

import pytest
import torch

from mien.errors import InputError
from mien.evaluation.groups import group_table, quality_by_group, read_labels
from mien.metrics.color import skin_color


def test_labels_are_put_in_the_order_of_the_images(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,skin,hair\nb.png,dark, curly\na.png,light,\nc.png,dark,short\n")
    assert read_labels(path, ["a.png", "b.png"]) == {"skin": ["light", "dark"], "hair": ["", "curly"]}
    with pytest.raises(InputError, match=r"d\.png"):
        read_labels(path, ["a.png", "d.png"])
    path.write_text("file,skin\na.png,dark\n")
    with pytest.raises(InputError, match="image"):
        read_labels(path, ["a.png"])
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "none.csv", [])


def test_each_group_has_its_own_figures() -> None:
    photos = torch.full((4, 3, 64, 64), -0.2)
    inversions = photos.clone()
    inversions[2:] += 0.3  # the second group becomes lighter
    own = torch.eye(4)
    made = own.clone()
    made[3] = torch.tensor([1.0, 0, 0, 0.2])  # and one of it is taken for the first
    rows = quality_by_group(
        photos, inversions, (own, made), {"skin": ["light", "light", "dark", "dark"], "age": ["", "", "", "a"]}
    )
    everybody, light, dark, a = rows
    assert [(r.group, r.count, r.recognized) for r in rows] == [
        ("everybody", 4, 0.75), ("skin: light", 2, 1.0), ("skin: dark", 2, 0.5), ("age: a", 1, 0.0),
    ]  # fmt: skip
    assert (light.identity, light.color_error, light.lighter) == (1.0, 0.0, 0.0)
    step = float((skin_color(inversions[2:3]) - skin_color(photos[:1]))[0, 0])
    assert step > 10
    assert dark.lighter == pytest.approx(step)
    assert dark.color_error == pytest.approx(step, rel=0.01)  # gray on both sides
    assert everybody.lighter == pytest.approx(step / 2)
    assert a.identity == pytest.approx(0.2 / 1.04**0.5)
    assert "| skin: dark | 2 | 50% |" in group_table(rows)
