"""How far an image lies outside the faces of a model: relative numbers, and the warning that they lead to."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.faces import AlignConfig
from mien.faces.background import as_learned
from mien.inversion import OutOfDistributionScore, calibrate, out_of_distribution, out_of_distribution_scores
from mien.inversion.density import mapped_codes
from mien.inversion.encode import encode
from mien.latents import broadcast
from mien.media.images import from_tensor, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.pipeline import OneShotConfig, Stylizer
from toys import tiny, tiny_discriminator

R = 32


class Oracle(CompactEncoder):
    """An encoder that knows the codes of the faces that it is shown, in their order; anything else is the mean face."""

    answers: torch.Tensor

    def look(
        self, image: torch.Tensor, code: torch.Tensor, rendering: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.answers[: len(image)], None


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    g, d = tiny(R).requires_grad_(False), tiny_discriminator(R).requires_grad_(False)
    return Model(g, d, Oracle(CompactEncoderConfig(R, num_ws=8, w_dim=16, width=8, max_width=16, iterations=1)))


def random_faces(model: Model, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = model.generator
    w_plus = broadcast(g.mapping(torch.randn(count, 16, generator=torch.Generator().manual_seed(seed))), g.num_ws)
    return torch.cat([g(code[None], g.synthesis.noise("const")) for code in w_plus]).clamp(-1, 1), w_plus


def test_the_number_is_relative(model: Model) -> None:
    model.encoder.answers = broadcast(mapped_codes(model.generator, 12, seed=0), 8)  # type: ignore[union-attr, assignment]
    known = calibrate(model)
    assert known.gap.abs().max() < 1e-3  # it inverts its own faces perfectly
    faces, codes = random_faces(model, 6, seed=5)
    assert all(found.value < 0.01 for found in out_of_distribution_scores(model, known, faces, codes))
    somebody_else = out_of_distribution_scores(model, known, faces, codes.roll(1, dims=0))
    assert sum(found.value for found in somebody_else) / 6 == pytest.approx(1, abs=0.4)


def test_calibration_has_a_seed_and_leaves_torch_alone(model: Model) -> None:
    model.encoder.answers = torch.zeros(12, 8, 16)  # type: ignore[union-attr, assignment]
    state = torch.random.get_rng_state()
    one, two, other = calibrate(model), calibrate(model), calibrate(model, seed=1)
    assert torch.equal(one.faces.structure, two.faces.structure)
    assert not torch.equal(one.faces.structure, other.faces.structure)
    assert torch.equal(state, torch.random.get_rng_state())


def test_what_is_usual_for_a_model_is_worked_out_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model.encoder.answers = torch.zeros(12, 8, 16)  # type: ignore[union-attr, assignment]
    asked: list[Model] = []
    monkeypatch.setattr(out_of_distribution, "calibrate", lambda m: asked.append(m) or calibrate(m))
    first = out_of_distribution.known_faces(model)
    assert out_of_distribution.known_faces(model) is first
    assert len(asked) == 1
    next(model.generator.parameters()).data.add_(1)  # another model, though the same object
    assert out_of_distribution.known_faces(model) is not first
    assert len(asked) == 2


def test_learning_warns_and_extreme_does_not(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    model.encoder.answers = torch.zeros(16, 8, 16)  # type: ignore[union-attr, assignment]
    files = [tmp_path / "cat.png", tmp_path / "anna.png"]
    for file in files:
        write_image(file, from_tensor(torch.rand(3, R, R) * 2 - 1))
    stylizer, config = Stylizer(model), OneShotConfig(steps=1, random_from="32px")
    monkeypatch.setattr(
        out_of_distribution, "out_of_distribution_scores", lambda *_: [OutOfDistributionScore(0.8), OutOfDistributionScore(0.2)]
    )
    with pytest.warns(UserWarning, match=r"model, cat\.png \(0\.8\) is .*`extreme`"):
        stylizer.fit(files, config, align=AlignConfig(aligned=True))
    recwarn.clear()
    stylizer.fit(files, replace(config, extreme=True))
    assert not recwarn.list
    monkeypatch.setattr(out_of_distribution, "out_of_distribution_scores", lambda *_: [OutOfDistributionScore(0.2)] * 2)
    stylizer.fit(files, config, align=AlignConfig(aligned=True))
    assert not recwarn.list


@pytest.mark.slow
def test_animals_are_far_and_drawings_are_not(shared: Path) -> None:
    """The embedded model: the animals cropped by hand against the aligned style images."""
    stylizer = Stylizer.load()
    known = calibrate(stylizer.model)

    def far(folder: str) -> list[bool]:
        files = sorted((shared / "data" / folder).iterdir())
        crops = torch.stack([stylizer.align(file, AlignConfig(aligned=True)).faces[0].crop for file in files])
        crops = as_learned(stylizer.model, crops)
        return [
            found.far
            for found in out_of_distribution_scores(stylizer.model, known, crops, encode(stylizer.model, crops).w_plus)
        ]

    assert sum(far("styles-extreme")) >= 3
    assert sum(far("styles-aligned")) <= 3
