"""Whole training runs in a folder: begun, stopped, killed, continued, grown; what is refused and what is written."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mien.checkpoint.load import load_model
from mien.checkpoint.model_file import read_model, write_model
from mien.config import from_toml
from mien.errors import CheckpointError, InputError, MienError
from mien.folder_lock import only_process
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model
from mien.training import run as train_module
from mien.training.config import TrainConfig
from mien.training.distributed import Processes
from mien.training.resolve import changed, preset, resolve
from mien.training.run import train
from mien.training.run_folder import RunFolder
from mien.training.session import DivergedError, Session

TINY = {
    "stages": (8,), "network.z_dim": 8, "network.w_dim": 8, "network.mapping_layers": 2, "network.channel_base": 64,
    "network.channel_max": 8, "network.mbstd_group": 2, "adversarial.batch": 4, "adversarial.r1_interval": 3, "stats_steps": 2,
    "adversarial.ada_interval": 1, "adversarial.ada_kimg": 0.1, "adversarial.pl_weight": 1.0, "adversarial.pl_interval": 4,
    "kimg": 0.032, "snapshot_minutes": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def config(images: Path, **more: Any) -> TrainConfig:
    return resolve({"data": str(images), **TINY, **{k.replace("__", "."): v for k, v in more.items()}}, size="lean", bf16=False)


def losses(run: Path) -> list[dict[str, Any]]:
    timing = {"time", "images_per_second", "seconds_left"}
    return [{k: v for k, v in line.items() if k not in timing} for line in RunFolder(run).lines()]


def after(steps: int) -> Session:
    """A session that stops after so many steps."""
    asked = iter(range(steps + 1))
    return Session(stop=lambda: next(asked) == steps)


def weights_equal(a: Path, b: Path) -> bool:
    one, two = read_model(a), read_model(b)
    assert one.discriminator is not None
    assert two.discriminator is not None
    states = (
        (one.generator.state_dict(), two.generator.state_dict()),
        (one.discriminator.state_dict(), two.discriminator.state_dict()),
    )
    return all(torch.equal(x[k], y[k]) for x, y in states for k in x)


@pytest.fixture(scope="module")
def straight(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps without interruption."""
    run = tmp_path_factory.mktemp("straight")
    outcome = train(config(images), run)
    assert outcome.complete
    assert (outcome.images, outcome.steps) == (32, 8)
    return run


def test_a_run_leaves_everything_it_should(straight: Path) -> None:
    assert {p.name for p in straight.iterdir()} == {
        ".lock", "config.toml", "plan.txt", "data.txt", "stats.jsonl", "samples", "model.safetensors", "state", "index.html"
    }  # fmt: skip
    lines = losses(straight)
    assert [line["steps"] for line in lines] == [2, 4, 6, 8]
    for name in ("generator", "discriminator", "real_sign", "ada_p", "images", "px"):
        assert all(name in line for line in lines)
    model = read_model(straight / "model.safetensors")
    assert model.resolution == 8
    assert model.provenance.images_seen == 32
    assert model.discriminator is not None
    assert "6 images of 8 px" in (straight / "data.txt").read_text()
    assert "frozen blocks: none" in (straight / "plan.txt").read_text()
    with Image.open(next((straight / "samples").iterdir())) as grid:
        assert grid.size == (64, 32)
        assert np.asarray(grid).std() > 1


@pytest.mark.parametrize("stops", [(3,), (1, 4), (2, 2)])
def test_a_continued_run_equals_an_uninterrupted_one(
    images: Path, straight: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    for stop in stops:
        assert not train(config(images), tmp_path, after(stop)).complete
    assert train(config(images), tmp_path).complete
    assert losses(tmp_path) == losses(straight)
    assert weights_equal(tmp_path / "model.safetensors", straight / "model.safetensors")


def test_a_run_killed_between_snapshots_repeats_only_what_was_lost(
    images: Path, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(images), tmp_path, after(3))
    # Killed: steps and lines after the last snapshot, then nothing more is written.
    monkeypatch.setattr(train_module._Run, "snapshot", lambda self: None)
    train(config(images), tmp_path, after(4))
    assert len(losses(tmp_path)) == 3
    (tmp_path / "stats.jsonl").open("a").write('{"px": 8, "ima')
    for place in (tmp_path, tmp_path / "samples"):
        (place / ".model.safetensors.0123abcd.part").write_bytes(b"half of it")
    monkeypatch.undo()
    seen: list[Mapping[str, Any]] = []
    assert train(config(images), tmp_path, Session(show=seen.append)).complete
    assert not list(tmp_path.rglob(".*.part"))
    assert [line["steps"] for line in seen] == [4, 6, 8]
    assert losses(tmp_path) == losses(straight)


@pytest.mark.slow
def test_a_run_really_killed_goes_on(images: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mien.training.run import train;"
        "from mien.config import from_toml; from mien.training.config import TrainConfig;"
        "train(from_toml(TrainConfig, Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    wanted = config(images, snapshot_kimg=0.016, kimg=100.0)
    RunFolder(tmp_path).write_config(wanted)
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "config.toml"), str(tmp_path)])
    try:
        limit = time.monotonic() + 100
        while len(RunFolder(tmp_path).grids()) < 3 and time.monotonic() < limit:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    grids = RunFolder(tmp_path).grids()
    assert len(grids) >= 3
    outcome = train(wanted, tmp_path, after(2))
    assert outcome.images >= 4 * 4 * 2 + 8


def test_images_in_a_file_train_alike(images: Path, straight: Path, tmp_path: Path) -> None:
    train(config(images), tmp_path / "run", Session(memory_share=0.0))
    assert losses(tmp_path / "run") == losses(straight)
    assert "lie in a file" in (tmp_path / "run" / "data.txt").read_text()


def test_grown_stages_continue_and_keep_their_models(images: Path, tmp_path: Path) -> None:
    wanted = config(images, stages=(8, 16), stage_kimg=(0.016,))
    train(wanted, tmp_path / "a")
    for stop in (2, 3):
        train(wanted, tmp_path / "b", after(stop))
    train(wanted, tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert [line["px"] for line in losses(tmp_path / "a")] == [8, 8, 16, 16]
    small, large = (read_model(tmp_path / "a" / name) for name in ("model-8px.safetensors", "model.safetensors"))
    assert (small.resolution, large.resolution) == (8, 16)
    assert (small.provenance.images_seen, large.provenance.images_seen) == (16, 32)
    assert (tmp_path / "a" / "plan.txt").read_text().count("stage") == 2
    assert wanted.adversarial_at(0).r1_gamma == pytest.approx(wanted.adversarial.r1_gamma / 2**1.5)
    assert wanted.adversarial_at(1).r1_gamma == wanted.adversarial.r1_gamma


def test_max_minutes_stops_with_a_snapshot(images: Path, tmp_path: Path) -> None:
    outcome = train(config(images, kimg=0.0), tmp_path, Session(max_minutes=0.0))
    assert not outcome.complete
    assert outcome.model.exists()
    assert (tmp_path / "state" / "state.json").exists()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({"snapshot_kimg": 0.012}, 3), ({"snapshot_minutes": 1e-9}, 9), ({"keep_kimg": 0.016}, 3), ({}, 1)],
)
def test_snapshot_intervals(
    images: Path, tmp_path: Path, setting: dict[str, float], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    original = train_module._Run.snapshot
    monkeypatch.setattr(
        train_module._Run, "snapshot", lambda self: (calls.append(self.trainer.images), original(self))[1], raising=True
    )
    train(config(images, **setting), tmp_path)
    assert len(calls) == expected
    assert len(list(tmp_path.glob("model-0*.safetensors"))) == (2 if "keep_kimg" in setting else 0)


def test_other_options_other_images_and_other_machines(images: Path, tmp_path: Path) -> None:
    train(config(images), tmp_path / "run", after(2))
    with pytest.raises(InputError, match=r"adversarial\.batch = 4, not 2"):
        train(config(images, adversarial__batch=2), tmp_path / "run")
    with pytest.raises(InputError, match="seed"):
        train(config(images, seed=1), tmp_path / "run")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in images.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    train(config(moved, kimg=0.012), tmp_path / "run")  # the same images at another place, and another length
    (moved / "5.png").unlink()
    with pytest.raises(InputError, match="does not hold the images"):
        train(config(moved), tmp_path / "run")


def test_config_file_round_trip(images: Path, tmp_path: Path) -> None:
    wanted = config(images, stages=(8, 16), stage_kimg=(0.5,), folder_weights={"a b": 2.0, 'c"d': 0.5}, plan__freeze_d=1)
    RunFolder(tmp_path).write_config(wanted)
    assert from_toml(TrainConfig, tmp_path / "config.toml") == wanted


def test_settings_by_their_former_names_are_read(images: Path, tmp_path: Path) -> None:
    wanted = config(images, reconstruction__feature_code=0.25, reconstruction__feature_code_share=0.75)
    RunFolder(tmp_path).write_config(wanted)
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    for name, former in (("feature_code", "detail"), ("feature_code_share", "detail_share"), ("degraded_share", "disturb")):
        assert f"\n{name} = " in text
        text = text.replace(f"\n{name} = ", f"\n{former} = ")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    assert RunFolder(tmp_path).config() == wanted


def test_a_data_set_alone_takes_the_usual_settings(images: Path, tmp_path: Path) -> None:
    outcome = train(str(images), str(tmp_path / "run"), after(0))
    assert (outcome.steps, outcome.complete) == (0, False)
    stored = RunFolder(tmp_path / "run").config()
    assert stored == resolve({"data": str(images)}, size="lean", bf16=False)
    RunFolder(tmp_path / "tiny").write_config(config(images))
    assert train(images, tmp_path / "tiny").complete, "a run that is there goes on with its own settings"


def test_state_in_parts_without_moments(images: Path, tmp_path: Path) -> None:
    told: list[str] = []
    train(config(images), tmp_path, Session(stop=after(2).stop, part_bytes=4096, moments=False))
    parts = list((tmp_path / "state").glob("*.part"))
    assert len(parts) > 1
    assert max(p.stat().st_size for p in parts) <= 4096
    train(config(images), tmp_path, Session(tell=told.append))
    assert any("without Adam's moments" in line for line in told)
    parts = sorted((tmp_path / "state").glob("*.part"))
    parts[0].write_bytes(b"x")
    with pytest.raises(CheckpointError, match="checksum"):
        train(config(images), tmp_path)


def test_infinite_losses_stop_the_run_and_keep_the_snapshot(images: Path, tmp_path: Path) -> None:
    wanted = config(images, adversarial__learning_rate=1e30, snapshot_kimg=0.004)
    with pytest.raises(DivergedError, match="lower learning_rate"):
        train(wanted, tmp_path)
    assert all(np.isfinite(v) for line in losses(tmp_path) for v in line.values())


def test_weights_that_are_no_numbers_are_not_written(images: Path, tmp_path: Path) -> None:
    train(config(images), tmp_path, after(3))
    before = (tmp_path / "model.safetensors").read_bytes(), (tmp_path / "state" / "state.json").read_bytes()
    broken = train_module._Run(config(images), RunFolder(tmp_path), Session(), Processes())
    next(broken.trainer.generator.synthesis.parameters()).data.fill_(float("nan"))
    with pytest.raises(DivergedError):
        broken.snapshot()
    assert ((tmp_path / "model.safetensors").read_bytes(), (tmp_path / "state" / "state.json").read_bytes()) == before


def test_rates_rise_and_fall_over_a_run(images: Path, tmp_path: Path) -> None:
    wanted = config(
        images, adversarial__warmup_steps=4, adversarial__decay_share=0.5, adversarial__decay_floor=0.1, stats_steps=1
    )
    train(wanted, tmp_path / "a")
    rates = [line["rate"] for line in losses(tmp_path / "a")]
    # The rate that the next step takes: 8 steps, of which the second half falls.
    assert rates == pytest.approx([0.5, 0.75, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25], abs=0.01)
    train(wanted, tmp_path / "b", after(5))
    train(wanted, tmp_path / "b")
    assert losses(tmp_path / "b") == losses(tmp_path / "a")


def test_an_encoder_grows_with_the_stages_and_continues(images: Path, tmp_path: Path) -> None:
    wanted = config(
        images, stages=(8, 16), stage_kimg=(0.016,), adversarial__pl_weight=0.0, reconstruction__share=0.5,
        reconstruction__resolution=16, reconstruction__width=8, reconstruction__max_width=16,
    )  # fmt: skip
    train(wanted, tmp_path / "a")
    for stop in (2, 3, 2):
        train(wanted, tmp_path / "b", after(stop))
    train(wanted, tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    small, large = (read_model(tmp_path / "a" / name).encoder for name in ("model-8px.safetensors", "model.safetensors"))
    assert isinstance(small, CompactEncoder)
    assert isinstance(large, CompactEncoder)
    assert (small.config.resolution, small.config.width) == (8, 16)
    assert (large.config.resolution, large.config.width) == (16, 8)
    with pytest.raises(InputError, match="cannot be grown"):
        train(
            config(images, stages=(8, 16), stage_kimg=(0.016,), reconstruction__share=0.5, reconstruction__max_width=8),
            tmp_path / "c",
        )


def test_a_full_disk_leaves_the_last_snapshot(
    images: Path, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(images), tmp_path, after(3))
    before = (tmp_path / "state" / "state.json").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mien.files.os.replace", full)
    with pytest.raises(MienError, match="No space"):
        train(config(images), tmp_path, after(2))
    monkeypatch.undo()
    assert (tmp_path / "state" / "state.json").read_bytes() == before
    train(config(images), tmp_path)
    assert losses(tmp_path) == losses(straight)


class TestFromModel:
    @pytest.fixture
    def source(self, straight: Path, tmp_path: Path) -> Path:
        # Another place than the run it came from.
        path = tmp_path / "source.safetensors"
        write_model(path, read_model(straight / "model.safetensors"))
        return path

    def test_starts_from_its_weights(self, images: Path, source: Path, tmp_path: Path) -> None:
        train(config(images, source=str(source), seed=3), tmp_path / "run", after(0))
        assert weights_equal(tmp_path / "run" / "model.safetensors", source)

    def test_takes_its_networks_and_continues_without_the_file(self, images: Path, source: Path, tmp_path: Path) -> None:
        wanted = config(images, source=str(source), network__channel_max=4, plan__structure=1, plan__freeze_d=1)
        train(wanted, tmp_path / "a")
        assert from_toml(TrainConfig, tmp_path / "a" / "config.toml").network.channel_max == 8
        train(wanted, tmp_path / "b", after(3))
        source.unlink()
        train(wanted, tmp_path / "b")
        assert losses(tmp_path / "a") == losses(tmp_path / "b")
        assert (tmp_path / "a" / "samples" / "source.png").exists()
        assert losses(tmp_path / "a")[0]["structure"] >= 0
        assert "structure loss: 8 px" in (tmp_path / "a" / "plan.txt").read_text()

    def test_begins_wider_than_it(self, images: Path, source: Path, tmp_path: Path) -> None:
        wanted = config(images, source=str(source), widen=2)
        train(wanted, tmp_path / "run", after(0))
        old, new = (read_model(p).generator for p in (source, tmp_path / "run" / "model.safetensors"))
        assert new.config.channels(8) == 2 * old.config.channels(8)
        codes = torch.randn(2, old.num_ws, 8)
        noise = old.synthesis.noise("const")
        assert torch.allclose(new(codes, noise), old(codes, noise), atol=1e-4)
        train(wanted, tmp_path / "run", after(2))
        assert train(wanted, tmp_path / "run").complete

    def test_grows_beyond_it(self, images: Path, source: Path, tmp_path: Path) -> None:
        wanted = config(images, source=str(source), stages=(16,), plan__structure=1, plan__freeze_g=1, plan__freeze_styles=1)
        train(wanted, tmp_path / "run", after(2))
        old, new = (read_model(p).generator.state_dict() for p in (source, tmp_path / "run" / "model.safetensors"))
        assert all(torch.equal(old[k], new[k]) for k in old if k.startswith("synthesis.b4."))
        assert not torch.equal(old["synthesis.b8.conv1.weight"], new["synthesis.b8.conv1.weight"])

    def test_refusals(self, images: Path, source: Path, tmp_path: Path) -> None:
        model = read_model(source)
        write_model(tmp_path / "bare.safetensors", Model(model.generator))
        with pytest.raises(InputError, match="no discriminator"):
            train(config(images, source=str(tmp_path / "bare.safetensors")), tmp_path / "run")
        with pytest.raises(InputError, match="give source"):
            train(config(images, plan__structure=1), tmp_path / "run")
        with pytest.raises(InputError, match="freeze_d is 9"):
            train(config(images, source=str(source), plan__freeze_d=9), tmp_path / "run")
        assert not (tmp_path / "run" / "config.toml").exists()
        train(config(images), tmp_path / "other", after(1))
        with pytest.raises(InputError, match="not begun from a model"):
            train(config(images, source=str(source)), tmp_path / "other")


def test_the_page_stands_alone_and_shows_curves_and_grids(straight: Path) -> None:
    text = (straight / "index.html").read_text(encoding="utf-8")
    assert text.count("<svg") >= 4
    assert "data:image/jpeg;base64," in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text
    assert "discriminator" in text


def test_page_escapes_names(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "a<b>&c"
    try:
        run.mkdir()
    except OSError:
        pytest.skip("this file system does not allow such names")
    train(config(images), run, after(2))
    assert "<b>" not in (run / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"stages": (16, 8), "stage_kimg": (1.0,)}, "rising powers of two"), ({"stages": (12,)}, "powers of two"),
        ({"stages": (8, 16), "stage_kimg": ()}, "lengths"), ({"augment": "bx"}, "letters of 'bgcfn'"),
        ({"kimg": -1.0}, "kimg must be"), ({"stats_steps": 0}, "stats_steps"), ({"stages": ()}, "rising"),
    ],
)  # fmt: skip
def test_impossible_configurations_are_refused(images: Path, overrides: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        config(images, **overrides)


def test_impossible_batches_are_refused_before_anything_is_written(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not split"):
        train(config(images, adversarial__batch=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_presets(images: Path) -> None:
    lean, large = preset(64, "lean", bf16=True), preset(256, "large", bf16=False)
    assert lean["adversarial.r1_gamma"] == 0.1
    assert lean["adversarial.bf16"] is True
    assert large["network.channel_base"] == 32768
    assert large["adversarial.pl_weight"] == 2.0
    overrides = {"data": "x", "stages": (32, 64)}
    found = resolve(overrides, size="normal", bf16=False, method_name="freeze-g")
    assert found.stage_kimg == (80.0,)
    assert found.plan.freeze_g == 3
    assert changed(found, {"plan.freeze_g": 1}).plan.freeze_g == 1
    with pytest.raises(InputError, match="no size"):
        resolve(overrides, size="huge", bf16=False)


def test_augmentation_letters_reach_the_pipeline(images: Path, tmp_path: Path) -> None:
    for letters, expected in (
        ("bgc", (True, True, True, False, False)), ("c", (False, False, True, False, False)),
        ("nbf", (True, False, False, True, True)), ("", None),
    ):  # fmt: skip
        run = train_module._Run(
            config(images, augment=letters), RunFolder(tmp_path / (letters or "none")), Session(), Processes()
        )
        augment = run.trainer.augment
        groups = ("blit", "geometry", "color", "filter", "corruption")
        assert (None if augment is None else tuple(getattr(augment, group) for group in groups)) == expected


def test_statistics_are_valid_json_lines(straight: Path) -> None:
    for line in (straight / "stats.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["images_per_second"] > 0


def test_generator_and_discriminator_of_the_state_are_the_live_ones(straight: Path) -> None:
    from mien.checkpoint.state import read_state

    tensors, document = read_state(straight / "state")
    assert document["loop"]["steps"] == 8
    kinds = {name.split(".")[0] for name in tensors}
    assert {"generator", "discriminator", "ema", "g_adam", "d_adam", "g_adam_steps", "d_adam_steps", "loop"} <= kinds
    assert isinstance(read_model(straight / "model.safetensors").generator, Generator)
    assert Discriminator.__name__ in str(type(read_model(straight / "model.safetensors").discriminator))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the script is for Linux machines")
def test_the_script_for_lent_gpus_joins_pieces_and_goes_on_from_its_parts(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    random = np.random.default_rng(0)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for number in range(2):
        with zipfile.ZipFile(pieces / f"faces-{number}.zip", "w") as piece:
            for index in range(4):
                stream = io.BytesIO()
                Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(stream, "png")
                piece.writestr(f"{number}/{index}.png", stream.getvalue())
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(16, 8, 8, 2, channel_base=64, channel_max=8))
    encoder = CompactEncoder(CompactEncoderConfig(16, 6, 8, width=8, max_width=16))
    source = Model(generator, Discriminator(DiscriminatorConfig(16, 64, 8, mbstd_group=2)), encoder)
    write_model(tmp_path / "source.safetensors", source)
    settings = (root / "tools" / "train_on_gpu.toml").read_text(encoding="utf-8")
    for before, after in (
        ("stages = [256]", "stages = [16]\nkimg = 0.004"), ("batch = 32", "batch = 4"), ("resolution = 128", "resolution = 16"),
        ("noise_from = 64", "noise_from = 16"),
    ):  # fmt: skip
        assert before in settings
        settings = settings.replace(before, after)
    (tmp_path / "settings.toml").write_text(settings, encoding="utf-8")
    environment = os.environ | {
        "PYTHON": sys.executable, "CONFIG": str(tmp_path / "settings.toml"), "SOURCE": str(tmp_path / "source.safetensors"),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    words = ["sh", str(root / "tools" / "train_on_gpu.sh"), str(pieces), str(tmp_path / "out"), "10", "--device", "cpu"]

    first = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert "8 images of" in first.stderr
    parts = sorted((tmp_path / "out").glob("model.part-*"))
    assert parts
    assert max(part.stat().st_size for part in parts) <= 15_000_000
    joined = tmp_path / "joined.safetensors"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert load_model(joined).provenance.images_seen == 4
    assert load_model(joined).encoder is not None

    for file in (*parts, tmp_path / "out" / "sums.txt"):
        shutil.copy(file, pieces)
    again = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    (pieces / parts[0].name).write_bytes(b"damaged")
    refused = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "FAILED" in refused.stdout + refused.stderr


def test_growing_is_repeatable_wherever_the_memory_lies() -> None:
    from mien.models.discriminator import DiscriminatorConfig
    from mien.training.networks import grow_discriminator

    torch.manual_seed(0)
    small = Discriminator(DiscriminatorConfig(8, 64, 8, mbstd_group=2))
    kept, grown = [], []
    for i in range(12):
        kept.append(torch.empty(100 + 37 * i))  # so that the next matrices lie elsewhere
        torch.manual_seed(1)
        grown.append(grow_discriminator(small, 16).block(16).skip.weight.clone())
    assert all(torch.equal(weight, grown[0]) for weight in grown)


def test_a_run_belongs_to_one_process(images: Path, tmp_path: Path) -> None:
    with only_process(tmp_path / "run"):
        with pytest.raises(InputError, match=f"run is in use by process {os.getpid()} on "):
            train(config(images), tmp_path / "run")
        assert not (tmp_path / "run" / "config.toml").exists()
    assert train(config(images), tmp_path / "run").complete


def test_settings_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainConfig] = []

    class Spy:
        def __init__(self, config: TrainConfig, *_: object) -> None:
            seen.append(config)

        def loop(self) -> None:
            """Nothing is trained."""

    monkeypatch.setattr("mien.training.run._Run", Spy)
    train("faces.zip", tmp_path / "run", stages=(32, 64), kimg=2.0)
    assert (seen[0].data, seen[0].stages, seen[0].kimg, len(seen[0].stage_kimg)) == ("faces.zip", (32, 64), 2.0, 1)
    train(seen[0], tmp_path / "run", kimg=3.0)
    assert seen[1] == replace(seen[0], kimg=3.0)
