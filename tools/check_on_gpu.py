"""Check training on a GPU in about 100 seconds, each part on its own: what is recorded against what is not, speed, filters.

    PYTHONPATH=src python3 tools/check_on_gpu.py IMAGES [--seconds 95]

IMAGES is a folder or zip of about a thousand training images. Needs no pytest. Ends with 1 where a part failed.
"""

import argparse
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mien.checkpoint.face_networks import read_identity_network
from mien.checkpoint.model_file import read_model
from mien.config import from_toml
from mien.models.compact_encoder import CompactEncoder
from mien.ops import FirMethod, methods_for, use_fir
from mien.training.augment import AdaptiveAugment
from mien.training.config import TrainConfig
from mien.training.cuda_graphs import quick_arithmetic
from mien.training.encoder import Reconstruction
from mien.training.encoder_networks import grow_encoder
from mien.training.filter_choice import time_methods
from mien.training.networks import grow_discriminator, grow_generator
from mien.training.objectives import Networks
from mien.training.run import train
from mien.training.session import Session
from mien.training.trainer import AdversarialTrainer

BEGUN = time.monotonic()
ROOT = Path(__file__).resolve().parent.parent
FACES = ROOT / "src" / "mien" / "data" / "faces.safetensors"
CONFIG = replace(from_toml(TrainConfig, ROOT / "tools" / "train_on_gpu.toml"), stats_steps=50)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def say(*words: object) -> None:
    """Print with the seconds since the start."""
    print(f"[{time.monotonic() - BEGUN:6.1f}]", *words, flush=True)


def wait() -> None:
    """Wait for the GPU."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def trainer(config: TrainConfig, px: int, *, graphs: bool) -> AdversarialTrainer:
    """The embedded model at `px` with its encoder, on random images; the same every time."""
    model = read_model(Path(config.source))
    assert model.discriminator is not None
    assert isinstance(model.encoder, CompactEncoder)
    torch.manual_seed(0)
    generator, discriminator = model.generator, model.discriminator
    if generator.config.resolution < px:
        generator, discriminator = grow_generator(generator, px), grow_discriminator(discriminator, px)
    images = torch.randint(0, 256, (64, 3, px, px), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(DEVICE)

    def draw(count: int, g: torch.Generator) -> torch.Tensor:
        return images[torch.randint(0, 64, (count,), generator=g, device=g.device)].float() / 127.5 - 1

    identity = read_identity_network().to(DEVICE).requires_grad_(False)
    encoder = grow_encoder(model.encoder, generator.num_ws).to(DEVICE)
    rebuilt = Reconstruction(encoder, config.reconstruction, identity.embed_crop)
    networks = Networks(generator.to(DEVICE), discriminator.to(DEVICE), rebuilt)
    augment = AdaptiveAugment(0.3, fixed_shapes=True)
    made = AdversarialTrainer(networks, replace(config.adversarial, r1_interval=2, warmup_steps=0), draw, augment=augment)
    if graphs and DEVICE.type == "cuda":
        made.use_graphs()
    return made


def compare(name: str, config: TrainConfig, px: int, tolerance: float, steps: int) -> None:
    """The same steps eagerly and replayed: what they measure, how far weights are apart, how long they take."""
    measured: list[list[dict[str, float]]] = []
    weights: list[torch.Tensor] = []
    speeds: list[float] = []
    for graphs in (False, True):
        t = trainer(config, px, graphs=graphs)
        first = time.monotonic()
        lines = [{k: float(v) for k, v in t.step().items()} for _ in range(2)]
        wait()
        begun = time.monotonic()
        lines += [{k: float(v) for k, v in t.step().items()} for _ in range(steps)]
        wait()
        ended = time.monotonic()
        speeds.append(steps * t.config.batch / (ended - begun))
        say(name, "graphs" if graphs else "eager ", f"first two steps {begun - first:.1f} s, then {speeds[-1]:.1f} images/s")
        measured.append(lines)
        weights.append(torch.cat([p.detach().float().flatten() for p in t.ema.parameters()]))
        del t
    if DEVICE.type == "cuda":
        say(name, f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    worst = 0.0
    for k, (a, b) in enumerate(zip(*measured, strict=True)):
        assert a.keys() == b.keys(), (a.keys(), b.keys())
        gaps = {n: abs(a[n] - b[n]) / (abs(a[n]) + 0.05) for n in a}
        found = max(gaps, key=lambda n: gaps[n])
        if k == 0:  # later on, Adam's first steps make much of the last bits
            worst = max(gap for n, gap in gaps.items() if n != "real_sign")
        say(name, f"step {k}: largest relative difference {gaps[found]:.2e} ({found}: {a[found]:.5f} eager, {b[found]:.5f})")
    apart = float((weights[0] - weights[1]).norm() / weights[0].norm())
    say(name, f"weights apart {apart:.2e} of their norm; {speeds[1] / speeds[0]:.2f} times as fast")
    assert worst < tolerance, f"{name}: graphs and eager steps differ by {worst:.3f}"


def run_training(config: TrainConfig, images: Path, seconds: float) -> None:
    """`mien train` as it is, on the images, for so long."""
    speeds: list[float] = []

    def show(line: Mapping[str, Any]) -> None:
        speeds.append(line["images_per_second"])
        shown = {
            k: round(line[k], 3) for k in ("generator", "discriminator", "pixels", "real_sign", "ada_p", "rate") if k in line
        }
        say(f"{line['images']} images, {line['images_per_second']:.1f} images/s", shown)

    config = replace(config, data=str(images), adversarial=replace(config.adversarial, warmup_steps=50))
    fir: FirMethod | None = "triton" if "triton" in methods_for(DEVICE) else None
    with tempfile.TemporaryDirectory() as folder:
        session = Session(
            device=DEVICE, max_minutes=seconds / 60, fir=fir, tell=lambda line: say(line.splitlines()[0]), show=show
        )
        outcome = train(config, Path(folder) / "run", session)
        say(f"mien train: {outcome.images} images; lines of images/s: {[round(s) for s in speeds]}")
    assert outcome.images > 0


def choose_filter(config: TrainConfig, seconds: float) -> None:
    """Every method of the low-pass filter, at the size of the run."""
    dtype = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32
    batch = config.adversarial.batch
    for line in time_methods(config.stages[-1], config.network, batch, DEVICE, dtype, seconds=seconds):
        say(f"filter {line.method}:", "does not run: " + line.problem if line.seconds is None else f"{line.seconds:.4f} s")


def main() -> None:
    """Run the parts; one that fails does not keep the others from running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=95.0)
    parser.add_argument("--px", type=int, default=CONFIG.stages[-1])
    parser.add_argument("--model", type=Path, default=FACES)
    overrides = parser.parse_args()
    say("torch", torch.__version__, DEVICE, torch.cuda.get_device_name() if DEVICE.type == "cuda" else "without a GPU")
    real = replace(CONFIG, source=str(overrides.model), stages=(overrides.px,))
    exact = replace(real, adversarial=replace(real.adversarial, batch=8, bf16=False, bf16_penalties=False))
    real = real if DEVICE.type == "cuda" else exact
    fir: FirMethod = "triton" if "triton" in methods_for(DEVICE) else "depthwise"

    def left(keep: float) -> float:
        return max(5.0, float(overrides.seconds) - (time.monotonic() - BEGUN) - keep)

    parts: list[tuple[str, Callable[[], None]]] = [
        ("float32, no TF32", lambda: compare("float32", exact, overrides.px, 0.02, 2)),
        ("as trained", lambda: compare("bfloat16", real, overrides.px, 0.15, 10)),
        ("mien train", lambda: run_training(real, overrides.images, min(45.0, left(25.0)))),
        ("filters", lambda: choose_filter(real, min(30.0, left(0.0)))),
    ]
    failed = []
    for name, part in parts:
        try:
            if name == "as trained":
                with quick_arithmetic(DEVICE), use_fir(fir):
                    part()
            elif name == "float32, no TF32":
                torch.backends.cudnn.allow_tf32 = False
                with use_fir(fir):
                    part()
                torch.backends.cudnn.allow_tf32 = True
            else:
                part()
            say("OK:", name)
        except Exception:  # said, counted, and the next part still tells something
            failed.append(name)
            traceback.print_exc()
            say("FAILED:", name)
    say("failed:", failed or "nothing")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
