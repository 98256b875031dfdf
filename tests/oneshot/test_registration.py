"""References brought into register with what the base model draws of their codes."""

import pytest
import torch

from mien.faces.five_points import crop_points
from mien.latents import Codes
from mien.oneshot import registration
from mien.oneshot.registration import LEAST, Landmarks, ThinPlateSpline, find_landmarks, register
from toys import face, setting


@pytest.fixture
def moved_face(monkeypatch: pytest.MonkeyPatch) -> tuple[torch.Tensor, Landmarks]:
    """A drawn face, and landmarks that a base model would draw 6 px of 256 lower, and narrower at the outline."""
    image = face(side=256)
    own = find_landmarks(image[None])
    shift = torch.tensor([0.0, 6 / 256], dtype=torch.float64)
    wanted = Landmarks(own.points + shift, own.outline)
    monkeypatch.setattr(registration, "rendered_landmarks", lambda generator, codes: wanted)
    return image, wanted


def _register(image: torch.Tensor, **options: object) -> registration.Registered:
    g, _, _, w_plus = setting()
    return register(image[None], torch.ones(1, 1, 256, 256), g, Codes(w_plus), **options)


def test_landmarks_come_to_lie_where_the_base_model_draws_them(moved_face: tuple[torch.Tensor, Landmarks]) -> None:
    image, wanted = moved_face
    found = _register(image)
    before = (crop_points(image[None]) - wanted.points).norm(dim=2).mean()
    after = (crop_points(found.images) - wanted.points).norm(dim=2).mean()
    assert after < before / 2
    assert found.moved[0] == pytest.approx(6 / 256, rel=0.01)


def test_the_border_stays_where_it_is(moved_face: tuple[torch.Tensor, Landmarks]) -> None:
    image, _ = moved_face
    found = _register(image).images[0]
    for edge in (found[:, 0] - image[:, 0], found[:, -1] - image[:, -1], found[:, :, 0] - image[:, :, 0]):
        assert edge.abs().mean() < 0.02


@pytest.mark.parametrize(("shape", "moved"), [(1.0, 0.0), (0.25, 4.5 / 256), (0.9, 0.0)])
def test_reference_shape_is_how_much_stays(moved_face: tuple[torch.Tensor, Landmarks], shape: float, moved: float) -> None:
    image, _ = moved_face
    found = _register(image, shape=shape)
    assert found.moved[0] == pytest.approx(moved, rel=0.01)
    if not moved:  # 0.9 leaves 0.6 px, which is too little to warp for
        assert torch.equal(found.images[0], image)


def test_another_face_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    image = face(side=256)
    own = find_landmarks(image[None])
    far = Landmarks(own.points + 0.2, own.outline)
    monkeypatch.setattr(registration, "rendered_landmarks", lambda generator, codes: far)
    assert torch.equal(_register(image).images[0], image)


def test_what_is_not_valid_moves_along(moved_face: tuple[torch.Tensor, Landmarks]) -> None:
    image, _ = moved_face
    g, _, _, w_plus = setting()
    valid = torch.ones(1, 1, 256, 256)
    valid[..., :128, :] = 0  # all above the line of the nose
    found = register(image[None], valid, g, Codes(w_plus)).valid
    assert found is not None
    column = found[0, 0, :, 128]
    assert column[:130].max() == 0
    assert column[138:].min() == 1


def test_the_spline_meets_its_knots_and_is_exact_for_affine_maps() -> None:
    random = torch.Generator().manual_seed(0)
    knots = torch.rand(9, 2, generator=random, dtype=torch.float64)
    values = torch.rand(9, 2, generator=random, dtype=torch.float64)
    assert torch.allclose(ThinPlateSpline.through(knots, values)(knots), values)
    matrix = torch.tensor([[0.3, -0.1], [0.2, 0.5]], dtype=torch.float64)
    places = torch.rand(50, 2, generator=random, dtype=torch.float64)
    assert torch.allclose(ThinPlateSpline.through(knots, knots @ matrix + 1)(places), places @ matrix + 1)


def test_rendered_landmarks_are_those_of_the_rendering() -> None:
    g, _, _, w_plus = setting()
    with torch.no_grad():
        drawn = g(w_plus, g.synthesis.noise("const"))
    assert torch.equal(registration.rendered_landmarks(g, Codes(w_plus)).points, find_landmarks(drawn).points)


def test_least_is_three_pixels_of_256() -> None:
    assert LEAST * 256 == 3
