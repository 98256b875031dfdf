"""`--gaze photo`: a style is learned without the reference's gaze and mouth."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from mien.errors import InputError
from mien.faces.expression import expression_region
from mien.losses.face import eye_and_mouth_loss
from mien.media.images import read_image
from mien.oneshot.config import OneShotConfig
from mien.oneshot.reference_tuner import ReferenceTuner
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from mien.pipeline import Stylizer
from mien.shipped import EMBEDDED_MODEL
from toys import face, script, setting

R = 64


def drawn(count: int = 1) -> tuple:
    """A tiny model, and drawn faces that look aside to learn from."""
    g, d, _, w_plus = setting(count)
    return g, d, torch.stack([face((0.08, 0.0), opened=0.1 * i, side=R) for i in range(count)]), w_plus


@pytest.mark.parametrize("side", [64, 128])
def test_the_region_covers_eyes_and_mouth_and_little_else(side: int) -> None:
    region = expression_region(torch.stack([face(side=side), face((0.08, 0.0), opened=0.2, side=side)]))
    assert region.shape == (2, 1, side, side)
    for x, y in ((0.375, 0.472), (0.625, 0.472), (0.5, 0.745)):
        assert float(region[:, 0, int(y * side), int(x * side)].min()) == 1
    for x, y in ((0.5, 0.3), (0.5, 0.55), (0.25, 0.6), (0.5, 0.9)):
        assert float(region[:, 0, int(y * side), int(x * side)].max()) == 0
    assert 0.04 < float(region.mean()) < 0.12


def test_layout_loss_is_zero_for_equal_images_and_two_for_opposite_ones() -> None:
    a, region = torch.randn(2, 3, R, R), torch.rand(2, 1, R, R)
    assert float(eye_and_mouth_loss(a, a, region)) == 0.0
    assert float(eye_and_mouth_loss(a, -a, region)) == pytest.approx(2, abs=0.02)


def test_layout_loss_minds_neither_contrast_nor_color_nor_what_is_outside() -> None:
    a, region = torch.randn(2, 3, R, R), torch.zeros(2, 1, R, R)
    region[..., 16:32, 16:48] = 1
    assert float(eye_and_mouth_loss(0.5 * a + 0.3, a, region)) < 1e-3
    tint = torch.tensor([0.587, -0.299, 0.0])[:, None, None]
    assert float(eye_and_mouth_loss(a + tint, a, region)) < 1e-6
    other = torch.where(region > 0, a, -a)
    other[..., 15:33, 15:49] = a[..., 15:33, 15:49]
    assert float(eye_and_mouth_loss(other, a, region)) < 1e-6


def test_layout_loss_weighs_images() -> None:
    a, b, region = torch.randn(2, 3, R, R), torch.randn(2, 3, R, R), torch.ones(2, 1, R, R)
    alone = eye_and_mouth_loss(a[1:], b[1:], region[1:])
    torch.testing.assert_close(eye_and_mouth_loss(a, b, region, torch.tensor([0.0, 2.0])), alone)


@pytest.mark.parametrize("color", ["reference", "photo"])
def test_the_layout_of_eyes_and_mouth_stays_nearer_to_the_models(color: str) -> None:
    g, d, images, w_plus = drawn(2)
    region, noise, gaps = expression_region(images), g.synthesis.noise("const"), []
    for gaze in (None, "photo"):
        config = OneShotConfig(random_from="32px", color=color, gaze=gaze, learning_rate=0.003, noise="const")  # type: ignore[arg-type]
        tuner = OneShotTuner(g, d, References(images, w_plus), config)
        for _ in range(25):
            tuner.step()
        with torch.no_grad():
            before, after = (s.synthesize(s.styles(w_plus), noise) for s in (g.synthesis, tuner.synthesis))
            gaps.append(float(eye_and_mouth_loss(after, before, region)))
    assert gaps[1] < 0.5 * gaps[0], gaps


def test_without_it_eyes_and_mouth_are_learned_as_all_else() -> None:
    g, d, images, w_plus = drawn()
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(random_from="32px"))
    assert [term.name for term in tuner.terms] == ["style"]


def test_the_plain_twin_agrees() -> None:
    g, d, images, w_plus = drawn(2)
    config, given = OneShotConfig(random_from="32px", gaze="photo"), References(images, w_plus, (1.0, 2.0))
    fast, plain = (kind(g, d, given, config) for kind in (OneShotTuner, ReferenceTuner))
    for _ in range(2):
        assert fast.step() == pytest.approx(plain.step(), rel=1e-3)


def test_an_extreme_reference_has_no_gaze() -> None:
    stylizer = Stylizer.load(EMBEDDED_MODEL)
    with pytest.raises(InputError, match="`gaze` photo"):
        stylizer.fit(["cat.png"], OneShotConfig(gaze="photo", extreme=True))


@pytest.mark.slow
def test_the_tool_measures_three_ways_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Path(__file__).parents[2]
    tool = script(repository / "tools" / "gaze_sheet.py")
    (photos := tmp_path / "photos").mkdir()
    shutil.copy(repository / "examples" / "face.png", photos)
    reference, out = str(repository / "examples" / "ink.png"), tmp_path / "sheet.png"
    monkeypatch.setattr(sys, "argv", ["gaze_sheet", reference, "--photos", str(photos), "-o", str(out), "--steps", "2"])
    tool.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["reference", "ink", "ink", "ink", "mean", "mean", "mean"]
    assert all(0 <= float(number) < 1 for line in lines[1:] for number in line.split()[-3:])
    assert read_image(out).rgb().shape[1] > 5 * 128
