"""Choosing how the low-pass filter is computed: what is measured, what is told, and what a run remembers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mien.checkpoint.state import read_state
from mien.cli.app import shell
from mien.config import to_toml
from mien.errors import InputError, MienError
from mien.ops import FirMethod, fir_methods, methods_for
from mien.runtime import Fir
from mien.training import filter_choice
from mien.training.config import NetworkConfig, TrainConfig
from mien.training.filter_choice import FirTime, choose, time_methods
from mien.training.run import train
from mien.training.session import Session

CPU = torch.device("cpu")
TINY = NetworkConfig(8, 8, 2, channel_base=64, channel_max=8, mbstd_group=2)


def spy(monkeypatch: pytest.MonkeyPatch) -> set[FirMethod]:
    """Which methods filter from here on."""
    used: set[FirMethod] = set()

    def watched(name: FirMethod) -> fir_methods.Filter:
        def run(*values: Any) -> Tensor:
            used.add(name)
            return fir_methods.METHODS[name](*values)

        return run

    monkeypatch.setattr("mien.ops.resample.METHODS", {name: watched(name) for name in fir_methods.METHODS})
    return used


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    images = tmp_path / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(images / f"{i}.png")
    made = TrainConfig(data=str(images), stages=(8,), network=TINY, stats_steps=1, kimg=0.008, snapshot_minutes=0.0)
    return replace(made, adversarial=replace(made.adversarial, batch=4))


def test_a_run_filters_as_told_and_remembers_it(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = spy(monkeypatch)
    train(config, tmp_path / "usual")
    assert used == {"depthwise"}
    used.clear()
    train(config, tmp_path / "run", Session(fir="shifts"))
    assert used == {"shifts"}
    assert read_state(tmp_path / "run" / "state")[1]["fir"] == ["shifts", "cpu"]
    used.clear()
    train(replace(config, kimg=0.012), tmp_path / "run")
    assert used == {"shifts"}


def test_on_a_gpu_a_run_takes_the_fastest(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def times(*values: object) -> list[FirTime]:
        asked.append(values)
        return [FirTime("planes", 0.1), FirTime("depthwise", 0.2)]

    monkeypatch.setattr(filter_choice, "time_methods", times)
    monkeypatch.setattr(filter_choice, "_is_measured", lambda device: True)  # stands for CUDA
    said: list[str] = []
    train(config, tmp_path / "run", Session(tell=said.append))
    assert asked == [(8, TINY, 4, CPU, torch.float32)]
    assert "low-pass filter: planes" in said
    assert read_state(tmp_path / "run" / "state")[1]["fir"] == ["planes", "cpu"]
    train(replace(config, kimg=0.012), tmp_path / "run")
    assert len(asked) == 1


def test_every_method_of_the_device_is_timed_and_the_fastest_comes_first() -> None:
    times = time_methods(16, TINY, 2, CPU, torch.float32)
    assert {line.method for line in times} == set(methods_for(CPU)) == {"depthwise", "planes", "shifts"}
    seconds = [line.seconds for line in times if line.seconds is not None]
    assert len(seconds) == len(times)
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert choose(times) == times[0].method


def test_a_method_that_does_not_run_is_told_and_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*values: object) -> Tensor:
        raise RuntimeError("no C compiler\nand more")

    monkeypatch.setattr("mien.ops.resample.METHODS", {**fir_methods.METHODS, "depthwise": broken})
    times = time_methods(16, TINY, 2, CPU, torch.float32)
    assert times[-1] == FirTime("depthwise", None, "RuntimeError: no C compiler")
    assert choose(times) in ("planes", "shifts")


def counting(monkeypatch: pytest.MonkeyPatch, seconds: dict[FirMethod, float]) -> list[FirMethod]:
    rounds: list[FirMethod] = []

    def counted(method: FirMethod, *values: object) -> float:
        rounds.append(method)
        return seconds[method]

    monkeypatch.setattr(filter_choice, "_seconds", counted)
    return rounds


def test_the_measurement_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = counting(monkeypatch, {"depthwise": 1.0, "planes": 2.0, "shifts": 1.5})
    times = time_methods(16, TINY, 2, CPU, torch.float32, seconds=0.0)
    assert sorted(rounds) == ["depthwise", "planes", "shifts"]
    assert [line.method for line in times] == ["depthwise", "shifts", "planes"]


def test_hopeless_methods_are_timed_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = counting(monkeypatch, {"depthwise": 1.0, "planes": 20.0, "shifts": 2.0})
    times = time_methods(16, TINY, 2, CPU, torch.float32)
    assert (rounds.count("depthwise"), rounds.count("planes"), rounds.count("shifts")) == (7, 2, 7)
    assert times[-1] == FirTime("planes", 20.0)


def test_where_no_method_runs_it_is_said_why(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_choice, "time_methods", lambda *values: [FirTime("planes", None, "out of memory")])
    monkeypatch.setattr(filter_choice, "_is_measured", lambda device: True)  # stands for CUDA
    said: list[str] = []
    with pytest.raises(MienError, match="planes: out of memory"):
        train(config, tmp_path / "run", Session(tell=said.append))
    assert "low-pass filter: planes does not run: out of memory" in said


def test_a_method_that_the_device_lacks_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="triton does not run on cpu"):
        train(config, tmp_path / "run", Session(fir="triton"))
    assert not (tmp_path / "run" / "config.toml").exists()
    assert shell(["bench", "--train", "--quick", "--fir", "triton"]) == 2
    assert shell(["bench", "--filters", "--quick", "--fir", "planes"]) == 2


def test_the_option_reaches_the_run(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = spy(monkeypatch)
    (tmp_path / "tiny.toml").write_text(to_toml(config), encoding="utf-8")
    run = ["train", config.data, "-o", str(tmp_path / "run"), "--config", str(tmp_path / "tiny.toml"), "--quiet"]
    assert shell([*run, "--device", "cpu", "--fir", "planes"]) == 0
    assert used == {"planes"}


def test_a_choice_for_another_kind_of_device_is_made_anew(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config, tmp_path / "run")
    monkeypatch.setattr(filter_choice, "time_methods", lambda *values: [FirTime("shifts", 0.1)])
    monkeypatch.setattr(filter_choice, "_is_measured", lambda device: True)
    index = tmp_path / "run" / "state" / "state.json"
    index.write_text(index.read_text().replace('"cpu"', '"mps"'))
    train(replace(config, kimg=0.012), tmp_path / "run")
    assert read_state(tmp_path / "run" / "state")[1]["fir"] == ["shifts", "cpu"]


def test_the_command_prints_the_methods_with_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(["bench", "--filters", "--quick", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)["methods"]
    assert {line["method"] for line in found} == {"depthwise", "planes", "shifts"}
    assert all(line["seconds"] > 0 for line in found)
    assert shell(["bench", "--filters", "--train"]) == 2
    assert "measurements of their own" in capsys.readouterr().err


@pytest.mark.slow
def test_the_training_bench_uses_the_method_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used = spy(monkeypatch)
    assert shell(["bench", "--train", "--quick", "--fir", "planes", "--threads", "1"]) == 0
    assert used == {"planes"}
    assert "filter planes" in capsys.readouterr().out


def test_options_name_the_methods_that_there_are() -> None:
    assert get_args(Fir) == ("auto", *get_args(FirMethod))
    assert set(fir_methods.METHODS) == set(get_args(FirMethod))
