"""Small motions of references."""

import pytest
import torch

from mien.oneshot.encode_references import Motion, motions, moved_along


def _spot(x: int, y: int, side: int = 65) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side)
    image[0, 0, y - 1 : y + 2, x - 1 : x + 2] = 1
    return image


def _middle(image: torch.Tensor) -> tuple[float, float]:
    weights = image[0, 0].clamp(min=0)
    place = torch.arange(image.shape[-1], dtype=torch.float32)
    return float((weights.sum(0) * place).sum() / weights.sum()), float((weights.sum(1) * place).sum() / weights.sum())


@pytest.mark.parametrize(
    ("motion", "wanted"),
    [
        (Motion(0.1, 0, 0, 1), (48.5, 32)),
        (Motion(0, -0.1, 0, 1), (42, 25.5)),
        (Motion(0, 0, 90, 1), (32, 42)),  # clockwise: what lay to the right lies below
        (Motion(0, 0, 0, 2), (52, 32)),
        (Motion(0.1, 0, 90, 1), (38.5, 42)),  # turned about the middle first, then shifted
    ],
)
def test_a_motion_does_what_its_fields_say(motion: Motion, wanted: tuple[float, float]) -> None:
    assert _middle(motion(_spot(42, 32))) == pytest.approx(wanted, abs=0.1)


def test_no_motion_changes_nothing() -> None:
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Motion(0, 0, 0, 1)(image), image, atol=1e-5)


def test_motions_are_small_different_and_the_same_every_time() -> None:
    some = motions(5)
    assert some == motions(5)
    assert len(set(some)) == 5
    assert all(abs(m.right) <= 0.03 and abs(m.down) <= 0.03 and abs(m.turn) <= 6 and 0.95 <= m.scale <= 1.05 for m in some)


def test_views_come_in_blocks_of_all_images() -> None:
    images = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    ways = motions(2)
    views = moved_along(images, ways)
    assert torch.equal(views[:3], images)
    assert torch.equal(views[3:6], ways[0](images))
    assert torch.equal(views[6:], ways[1](images))
