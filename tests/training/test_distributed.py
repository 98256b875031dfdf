"""Two processes (gloo) against one with two rounds of accumulation: the same losses up to rounding."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.config import to_toml
from mien.training.config import TrainConfig
from mien.training.distributed import Processes
from mien.training.resolve import resolve
from mien.training.run import train
from mien.training.run_folder import RunFolder

_CODE = (
    "import sys; from pathlib import Path; from mien.config import from_toml; from mien.training.run import train;"
    "from mien.training.config import TrainConfig; train(from_toml(TrainConfig, Path(sys.argv[1])), Path(sys.argv[2]))"
)


def _config(images: Path) -> TrainConfig:
    overrides = {
        "data": str(images), "stages": (8,), "network.z_dim": 8, "network.w_dim": 8, "network.mapping_layers": 2,
        "network.channel_base": 64, "network.channel_max": 8, "network.mbstd_group": 2, "adversarial.batch": 8,
        "adversarial.micro_batch": 4, "adversarial.r1_interval": 3, "stats_steps": 1, "adversarial.pl_weight": 1.0,
        "adversarial.pl_interval": 2, "kimg": 0.048, "adversarial.ada_kimg": 0.5,
    }  # fmt: skip
    return resolve(overrides, size="lean", bf16=False)


def two_processes(code: str, *arguments: str) -> None:
    """Run Python code in two processes that know of each other as torchrun's do; both must end well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        **os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(mien.__file__).parent.parent),
    }  # fmt: skip
    words = [sys.executable, "-c", code, *arguments]
    processes = [subprocess.Popen(words, env={**environment, "RANK": str(rank)}) for rank in range(2)]
    try:
        assert [p.wait(timeout=120) for p in processes] == [0, 0]
    finally:
        for p in processes:
            p.kill()


_SAID = (
    "import torch; from mien.training.distributed import Processes; p = Processes.from_environment(torch.device('cpu'));"
    "said = p.of_first(f'rank {p.rank}'); p.leave(); raise SystemExit(said != 'rank 0')"
)


@pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tried on Linux and macOS")
def test_every_process_hears_what_the_first_says() -> None:
    two_processes(_SAID)
    assert Processes().of_first("alone") == "alone"


@pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tried on Linux and macOS")
def test_two_processes_equal_two_rounds(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(images / f"{i}.png")
    config = _config(images)
    (tmp_path / "c.toml").write_text(to_toml(config), encoding="utf-8")
    train(config, tmp_path / "one")

    two_processes(_CODE, str(tmp_path / "c.toml"), str(tmp_path / "two"))

    one, two = (RunFolder(tmp_path / name).lines() for name in ("one", "two"))
    assert len(one) == len(two) == 6
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in ("generator", "discriminator", "real_sign", "ada_p", "r1", "path_length", "real_logit", "fake_logit"):
            if name in a:
                assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), (name, a["steps"])


def test_micro_batches_are_shared_out_completely() -> None:
    shares = [list(Processes(rank, 3).share(7)) for rank in range(3)]
    assert sorted(i for share in shares for i in share) == list(range(7))
    assert Processes().first
    assert not Processes(1, 3).first
