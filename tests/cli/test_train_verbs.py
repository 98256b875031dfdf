"""`mien train` and `mien swap`: options reach the configuration, runs continue, swapped models are what they say."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mien
from mien.checkpoint.model_file import read_model, write_model
from mien.cli.app import shell
from mien.cli.progress import progress_text
from mien.config import from_toml, to_toml
from mien.editing.layer_swap import swap_layers, swap_weights
from mien.errors import InputError, ModelMismatchError
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance
from mien.training import run as train_module
from mien.training.config import NetworkConfig, TrainConfig

_NET = NetworkConfig(8, 8, 2, 64, 8, 2)


def make_model(seed: int, resolution: int = 16) -> Model:
    torch.manual_seed(seed)
    g = GeneratorConfig(resolution, 8, 8, 2, channel_base=64, channel_max=8)
    d = DiscriminatorConfig(resolution, 64, 8, mbstd_group=2)
    return Model(Generator(g), Discriminator(d), None, Provenance(f"model{seed}", "ours", images_seen=seed))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    random = np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, images: Path) -> Path:
    """A configuration file of a run that takes a second."""
    config = TrainConfig(data=str(images), stages=(8,), network=_NET, stats_steps=1, kimg=0.012, snapshot_minutes=0.0)
    config = replace(config, adversarial=replace(config.adversarial, batch=4))
    (tmp_path / "tiny.toml").write_text(to_toml(config), encoding="utf-8")
    return tmp_path / "tiny.toml"


def configured(monkeypatch: pytest.MonkeyPatch, *words: str) -> TrainConfig:
    """What the command would train."""
    seen: list[TrainConfig] = []

    def instead(config: TrainConfig, run: Path, session: train_module.Session) -> train_module.Outcome:
        seen.append(config)
        return train_module.Outcome(True, 0, 0, run / "model.safetensors")

    monkeypatch.setattr(train_module, "train", instead)
    assert shell(["train", *words]) == 0
    return seen[0]


def test_options_reach_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    plain = configured(monkeypatch, "faces", "-o", out, "--device", "cpu")
    assert (plain.data, plain.stages, plain.size, plain.adversarial.bf16, plain.mirror) == ("faces", (64,), "lean", False, True)
    words = (
        "faces -o OUT --grow 32,64 --stage-kimg 12.5 --size normal --weights a=3,b=0.5 --no-mirror --seed 5 --kimg 7 "
        "--snapshot-minutes 3 --snapshot-kimg 2 --keep-kimg 1 --batch 16 --micro-batch 8 --learning-rate 0.01 --r1-gamma 2 "
        "--pl-weight 3 --mixing 0.5 --ema-kimg 4 --ada-target 0.5 --ada-kimg 100 --augment bc --dtype bfloat16 --device cpu "
        "--freeze-d 1 --freeze-g 2 --freeze-styles 2 --freeze-mapping --structure 1 --structure-weight 9 "
        "--structure-on rgb --structure-code own"
    )
    c = configured(monkeypatch, *words.replace("OUT", out).split())
    assert (c.stages, c.stage_kimg, c.size, c.mirror, c.seed, c.kimg) == ((32, 64), (12.5,), "normal", False, 5, 7.0)
    assert c.folder_weights == {"a": 3.0, "b": 0.5}
    assert (c.snapshot_minutes, c.snapshot_kimg, c.keep_kimg, c.augment) == (3.0, 2.0, 1.0, "bc")
    a, p = c.adversarial, c.plan
    assert (a.batch, a.micro_batch, a.learning_rate, a.r1_gamma, a.pl_weight) == (16, 8, 0.01, 2.0, 3.0)
    assert (a.mixing, a.ema_kimg, a.ada_target, a.ada_kimg, a.bf16) == (0.5, 4.0, 0.5, 100.0, True)
    assert (p.freeze_d, p.freeze_g, p.freeze_styles, p.freeze_mapping) == (1, 2, 2, True)
    assert (p.structure, p.structure_weight, p.structure_on, p.structure_code) == (1, 9.0, "rgb", "own")
    assert c.network.channel_base == 8192
    method = configured(monkeypatch, "faces", "-o", out, "--resolution", "128", "--method", "structure", "--structure", "2")
    assert (method.stages, method.plan.structure, method.plan.freeze_d) == ((128,), 2, 2)
    assert configured(monkeypatch, "faces", "-o", out, "--augment", "none").augment == ""
    assert configured(monkeypatch, "faces", "-o", out, "--augment", "bgcfn").augment == "bgcfn"
    assert plain.augment == "bgc"


def test_the_resolution_of_a_source_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_model(tmp_path / "m.safetensors", make_model(1))
    assert configured(monkeypatch, "x", "-o", str(tmp_path / "run"), "--from", str(tmp_path / "m.safetensors")).stages == (16,)


def test_session_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[train_module.Session] = []

    def instead(config: TrainConfig, run: Path, session: train_module.Session) -> train_module.Outcome:
        seen.append(session)
        return train_module.Outcome(True, 0, 0, run)

    monkeypatch.setattr(train_module, "train", instead)
    words = [
        "train",
        "x",
        "-o",
        str(tmp_path),
        "--max-minutes",
        "5",
        "--part-megabytes",
        "1.5",
        "--light-state",
        "--memory-share",
        "0.25",
        "--device",
        "cpu",
    ]
    assert shell(words) == 0
    assert (seen[0].max_minutes, seen[0].part_bytes, seen[0].moments, seen[0].memory_share) == (5.0, 1_500_000, False, 0.25)
    assert shell(["train", "x", "-o", str(tmp_path)]) == 0
    assert (seen[1].max_minutes, seen[1].part_bytes, seen[1].moments, seen[1].memory_share) == (None, None, True, 0.5)


def test_train_continue_and_finish(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert shell(["train", "-o", str(run), "--config", str(tiny), "--max-minutes", "0", "--json", "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["written"][0]["complete"] is False
    assert "the same command goes on" in shown.err
    assert "W+ rows from the source" in shown.err
    assert shell(["train", "-o", str(run), "--device", "cpu"]) == 0  # the stored configuration
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(run / "model.safetensors")]
    assert "ADA p" in shown.err
    assert len((run / "stats.jsonl").read_text().splitlines()) == 3
    assert shell(["train", "-o", str(run), "--seed", "1"]) == 2
    assert "seed = 0, not 1" in capsys.readouterr().err
    assert shell(["train", "-o", str(run), "--quiet", "--kimg", "0.016"]) == 0
    assert capsys.readouterr().err == ""
    assert from_toml(TrainConfig, run / "config.toml").kimg == 0.016


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("-o RUN", "There is no run in"), ("nowhere -o RUN", "There is no nowhere"),
        ("x -o RUN --grow 32,a", "whole numbers"),
        ("x -o RUN --resolution 48", "powers of two"),
        ("x -o RUN --weights a=b", "such as a,b=0.5"), ("x -o RUN --from none.safetensors", "none.safetensors"),
        ("IMAGES -o RUN --resolution 8 --weights c=1", "no folder 'c'"),
        ("IMAGES -o RUN --batch 30 --micro-batch 7", "does not split"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(
    words: str, sentence: str, tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = [w.replace("RUN", str(tmp_path / "run")).replace("IMAGES", str(images)) for w in words.split()]
    assert shell(["train", *ready]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no polite signal for another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_snapshot_and_ends_well(tiny: Path, tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(Path(mien.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    words = ["train", "-o", str(run), "--config", str(tiny), "--kimg", "1000", "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "mien", *words], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        limit = time.monotonic() + 100
        while not (run / "stats.jsonl").exists() or (run / "stats.jsonl").stat().st_size == 0:
            assert time.monotonic() < limit
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "writing a snapshot" in err
    assert (run / "state" / "state.json").exists()
    steps = json.loads((run / "state" / "state.json").read_text())["document"]["loop"]["steps"]
    assert steps == json.loads((run / "stats.jsonl").read_text().splitlines()[-1])["steps"]


def test_progress_text() -> None:
    line = {
        "px": 64, "images": 12_345, "images_per_second": 31.25, "generator": 1.5, "discriminator": 0.75, "real_sign": 0.6,
        "ada_p": 0.125, "seconds_left": 5400.0, "r1": 0.01,
    }  # fmt: skip
    text = progress_text(line)
    for part in ("64 px", "12.3k", "31.2/s", "G 1.500", "D 0.750", "r1 0.01", "r_t 0.60", "ADA p 0.125", "1 h 30 min left"):
        assert part in text
    assert "left" not in progress_text({**line, "seconds_left": None})


class TestSwap:
    def test_hard_cut_takes_whole_blocks_both_ways(self) -> None:
        a, b = make_model(1), make_model(2)
        for low, high in ((a, b), (b, a)):
            found = swap_layers(low, high, 16).generator.state_dict()
            for name, value in found.items():
                origin = high if name.startswith("synthesis.b16.") else low
                assert torch.equal(value, origin.generator.state_dict()[name]), name

    def test_equal_models_give_the_same_model_again(self) -> None:
        a, b = make_model(1), make_model(1)
        for blend in (0.0, 2.0):
            found = swap_layers(a, b, 8, blend=blend).generator.state_dict()
            assert all(torch.allclose(v, a.generator.state_dict()[k]) for k, v in found.items())

    def test_blend_mixes_around_the_cut(self) -> None:
        assert swap_weights((4, 8, 16, 32), 16) == {4: 0.0, 8: 0.0, 16: 1.0, 32: 1.0}
        assert swap_weights((4, 8, 16, 32), 16, 2.0) == {4: 0.0, 8: 0.25, 16: 0.75, 32: 1.0}
        assert swap_weights((4, 8, 16, 32), 16, 1.0) == swap_weights((4, 8, 16, 32), 16)
        a, b = make_model(1), make_model(2)
        found = swap_layers(a, b, 8, blend=2.0).generator.synthesis.block(4).conv1.weight
        x, y = (m.generator.synthesis.block(4).conv1.weight for m in (a, b))
        assert torch.allclose(found, x + 0.25 * (y - x))

    def test_mapping_and_companions(self) -> None:
        a, b = make_model(1), make_model(2)
        low, high = swap_layers(a, b, 8), swap_layers(a, b, 8, mapping="high")
        for found, origin in ((low, a), (high, b)):
            mapping = origin.generator.mapping.state_dict()
            assert all(torch.equal(v, mapping[k]) for k, v in found.generator.mapping.state_dict().items())
        assert low.discriminator is not None
        assert b.discriminator is not None
        assert torch.equal(low.discriminator.b4.out.weight, b.discriminator.b4.out.weight)
        assert "model1" in low.provenance.source
        assert "16" in swap_layers(a, b, 16).provenance.source
        assert low.generator.synthesis.block(8).conv1.weight is not b.generator.synthesis.block(8).conv1.weight

    def test_refusals(self) -> None:
        with pytest.raises(ModelMismatchError, match="not of one shape"):
            swap_layers(make_model(1), make_model(1, 32), 8)
        for at in (4, 12, 32):
            with pytest.raises(InputError, match="8px, 16px"):
                swap_layers(make_model(1), make_model(2), at)
        with pytest.raises(InputError, match="blend"):
            swap_weights((4, 8), 8, -1.0)

    def test_verb_writes_a_model_or_a_sheet(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        paths = [str(tmp_path / f"{seed}.safetensors") for seed in (1, 2)]
        for seed, path in zip((1, 2), paths, strict=True):
            write_model(Path(path), make_model(seed))
        out = tmp_path / "out.safetensors"
        assert shell(["swap", *paths, "--at", "16px", "-o", str(out)]) == 0
        expected = swap_layers(read_model(Path(paths[0])), read_model(Path(paths[1])), 16).generator.state_dict()
        assert all(torch.equal(v, expected[k]) for k, v in read_model(out).generator.state_dict().items())
        assert (
            shell(["swap", *paths, "--at", "8,16px", "--blend", "2", "--mapping", "high", "-o", str(tmp_path / "s.png")]) == 0
        )
        with Image.open(tmp_path / "s.png") as image:
            assert image.width > image.height * 0.5
        capsys.readouterr()
        for words, sentence in (
            (["--at", "8px,16px", "-o", str(tmp_path / "x.safetensors")], "2 cuts"), (["--at", "big", "-o", "x"], "32px"),
            (["--at", "16px", "-o", str(out)], "exists already"), (["--at", "16px", "-o", paths[0]], "also an input"),
        ):  # fmt: skip
            assert shell(["swap", *paths, *words]) == 2
            assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_bench_train_measures_both_loops(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(["bench", "--train", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps_only"] > 0
    assert found["whole_loop"] > 0
    assert found["gigaflop"] > 0
    assert 0 < found["share_of_peak"] < 1
    assert found["config"]["resolution"] == 16
    assert shell(["bench", "--train", "--quick"]) == 0
    assert "images/s" in capsys.readouterr().out
