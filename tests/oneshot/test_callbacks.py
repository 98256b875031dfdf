"""Fits that are watched, stopped, gone on with, and that find their own end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mien.errors import CheckpointError, InputError
from mien.folder_lock import only_process
from mien.media.images import read_image
from mien.models.model import Model
from mien.oneshot import callbacks as follow_module
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.fit import learn
from mien.oneshot.references import References
from mien.oneshot.stopping import LONGEST, SHORTEST, enough
from mien.oneshot.tuner import OneShotTuner
from toys import left_half, setting

CONFIG = OneShotConfig(steps=12, batch=1)


@pytest.fixture
def task() -> tuple[Model, References]:
    torch.manual_seed(0)
    g, d, images, w_plus = setting(2)
    return Model(g, d), References(images, w_plus, (1.0, 2.0), left_half().expand(2, -1, -1, -1))


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on tuners die before that step."""
    whole = OneShotTuner.step

    def one(self: OneShotTuner) -> float:
        if len(self.losses) == step:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(OneShotTuner, "step", one)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{}, {"space": "w_plus"}, {"identity_weight": 0.01, "color": "photo"}])
def test_killed_and_continued_is_uninterrupted(
    changed: dict[str, Any], task: tuple[Model, References], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, **changed)
    expected, told = learn(*task, config)
    monkeypatch.setattr(follow_module, "_STATE_EVERY", 5)
    snapshots = SnapshotConfig(state=tmp_path / "state")
    with monkeypatch.context() as context:
        killed_at(7, context)
        with pytest.raises(KeyboardInterrupt):
            learn(*task, config, snapshots=snapshots)
    # It went on from step 5, and codes that differ in their last bits are taken from the state.
    model, references = task
    moved = replace(references, w_plus=references.w_plus + 1e-6)
    seen: list[int] = []
    found, again = learn(model, moved, config, snapshots=snapshots, progress=lambda step, *_: seen.append(step))
    assert seen == list(range(6, 13))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert again == told
    # A finished one is finished, and may go further.
    same, _ = learn(*task, config, snapshots=snapshots)
    assert all(torch.equal(same[name], expected[name]) for name in expected)
    further, _ = learn(*task, replace(config, steps=15), snapshots=snapshots)
    uninterrupted, _ = learn(*task, replace(config, steps=15))
    assert all(torch.equal(further[name], uninterrupted[name]) for name in uninterrupted)


def test_the_state_of_another_fit_is_refused(task: tuple[Model, References], tmp_path: Path) -> None:
    snapshots = SnapshotConfig(state=tmp_path / "state")
    learn(*task, CONFIG, snapshots=snapshots)
    model, references = task
    others = (
        (references, replace(CONFIG, seed=1), "seed differ"),
        (references, replace(CONFIG, random_layers="all"), "random_layers differ"),
        (references, replace(CONFIG, steps=3), "at step 12 already"),
        (replace(references, images=-references.images), CONFIG, "references differ"),
        (references, replace(CONFIG, identity_weight=0.01), "identity"),
        (replace(references, weights=(1.0, 1.0)), CONFIG, "references differ"),
        (replace(references, w_plus=references.w_plus + 1), CONFIG, "codes of the references"),
    )
    for given, config, words in others:
        with pytest.raises(InputError, match=words):
            learn(model, given, config, snapshots=snapshots)
    torch.manual_seed(9)
    g, d, _, _ = setting()
    with pytest.raises(InputError, match="the model differ"):
        learn(Model(g, d), references, CONFIG, snapshots=snapshots)
    index = tmp_path / "state" / "state.json"
    document = json.loads(index.read_text())
    index.write_text(json.dumps({**document, "document": {"loop": {}}}))
    with pytest.raises(CheckpointError, match="something other than a fit"):
        learn(*task, CONFIG, snapshots=snapshots)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        SnapshotConfig(state=tmp_path / "file")


def test_previews_show_the_style_as_it_grows(task: tuple[Model, References], tmp_path: Path) -> None:
    plain, _ = learn(*task, CONFIG)
    found, _ = learn(*task, CONFIG, snapshots=SnapshotConfig(previews=tmp_path / "watch", preview_every=5))
    assert all(torch.equal(found[name], plain[name]) for name in plain)  # looking changes nothing
    files = sorted((tmp_path / "watch").iterdir())
    assert [file.name for file in files] == ["step-00005.png", "step-00010.png", "step-00012.png"]
    images = [read_image(file).rgb() for file in files]
    half = images[0].shape[1] // 2
    assert torch.equal(images[0][:, :half], images[2][:, :half])  # the row of the base model
    gaps = [float((p[:, half:] - images[0][:, half:]).abs().mean()) for p in images]
    assert 0 == gaps[0] < gaps[1] < gaps[2]
    with pytest.raises(InputError, match="at least 1"):
        SnapshotConfig(preview_every=0)


def falling(share: float, count: int) -> list[float]:
    """A loss of which each 50 steps leave `share` above a floor of 1."""
    return [1 + share ** (step / 50) for step in range(count)]


def test_enough_asks_what_is_still_gained() -> None:
    def end(losses: list[float]) -> int | None:
        return next((n for n in range(1, len(losses) + 1) if enough(losses[:n])), None)

    quick, slow = end(falling(0.4, 800)), end(falling(0.75, 800))
    assert quick is not None
    assert slow is not None
    assert SHORTEST <= quick < slow < LONGEST
    assert end([2 - step / 1000 for step in range(800)]) == LONGEST  # it never slows down
    assert end([1.0] * 800) == LONGEST  # nothing is gained, nothing is known
    assert end([5 + 3 * loss for loss in falling(0.75, 800)]) == slow  # neither scale nor floor matter
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(800, generator=generator).mul(0.03).tolist()
    noisy = end([a + b for a, b in zip(falling(0.75, 800), noise, strict=True)])
    assert noisy is not None
    assert abs(noisy - slow) <= 60


def test_auto_stops_where_the_rule_says(task: tuple[Model, References], monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.oneshot import tuner

    monkeypatch.setattr(tuner, "enough", lambda losses: len(losses) == 4)
    found, made = learn(*task, replace(CONFIG, steps="auto"))
    assert made["steps"] == 4
    assert made["fit"]["steps"] == "auto"
    fixed, _ = learn(*task, replace(CONFIG, steps=4))
    assert all(torch.equal(found[name], fixed[name]) for name in fixed)


def test_auto_goes_on_from_a_state(task: tuple[Model, References], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.oneshot import tuner

    monkeypatch.setattr(tuner, "enough", lambda losses: len(losses) >= 6)
    snapshots = SnapshotConfig(state=tmp_path / "state")
    learn(*task, replace(CONFIG, steps=3), snapshots=snapshots)
    _, made = learn(*task, replace(CONFIG, steps="auto"), snapshots=snapshots)
    assert made["steps"] == 6


def test_a_state_belongs_to_one_process(task: tuple[Model, References], tmp_path: Path) -> None:
    with only_process(tmp_path / "state"), pytest.raises(InputError, match="state is in use by process "):
        learn(*task, replace(CONFIG, steps=1), snapshots=SnapshotConfig(state=tmp_path / "state"))
