"""Ways between random faces, and films of them."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mien.editing import round_trip, steps_between
from mien.errors import InputError
from mien.media.animation import write_animation
from mien.models.sampling import codes_of_seeds, random_codes
from toys import tiny


def test_seeds_are_the_first_faces_of_samples() -> None:
    g = tiny(32)
    codes = codes_of_seeds(g, [4, 9], psi=0.5)
    assert torch.equal(codes[1:], random_codes(g, 1, seed=9, psi=0.5))
    torch.testing.assert_close(random_codes(g, 3, seed=9, psi=0.5)[:1], codes[1:])


def test_steps_go_evenly_from_end_to_end() -> None:
    codes = torch.randn(3, 8, 16)
    way = steps_between(codes, 5)
    assert way.shape == (2, 5, 8, 16)
    assert torch.equal(way[:, 0], codes[:2])
    torch.testing.assert_close(way[:, -1], codes[1:])
    torch.testing.assert_close(way[0].diff(dim=0), ((codes[1] - codes[0]) / 4).expand(4, -1, -1))
    for wrong in ((codes[:1], 5), (codes, 1)):
        with pytest.raises(ValueError, match="two codes and two frames"):
            steps_between(*wrong)


def test_a_round_trip_meets_every_face_once_and_closes() -> None:
    codes = torch.randn(3, 8, 16)
    way = round_trip(codes, 4)
    assert way.shape == (12, 8, 16)
    assert torch.equal(way[::4], codes)
    step = float((way[-1] - way[0]).norm() / (codes[2] - codes[0]).norm())
    assert step == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_films(tmp_path: Path, suffix: str) -> None:
    shades = [torch.full((3, 16, 24), v) for v in (-1.0, 0.0, 1.0)]
    path = write_animation(tmp_path / f"film{suffix}", shades, fps=5)
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (24, 16), 0)  # type: ignore[attr-defined]
        values = []
        for index in range(3):
            film.seek(index)
            values.append(film.convert("L").getpixel((5, 5)))
    assert values == pytest.approx([0, 128, 255], abs=3)
    with pytest.raises(InputError, match="`overwrite`"):
        write_animation(path, shades)
    for name, frames, words in (("x.mp4", shades, r"\.gif or \.webp"), ("x.gif", [], "at least one")):
        with pytest.raises(InputError, match=words):
            write_animation(tmp_path / name, frames)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]
