"""Train the compact encoder for a model's generator and write the model with it.

    python tools/train_encoder.py MODEL DATASET -o OUT [--minutes 30] [--width 32] [--start OLD]

Starts from the encoder of OLD (a model of the same w_dim, perhaps smaller: the rows it lacks start as its last one).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from mien.checkpoint import load_model
from mien.checkpoint.bundle import write_model
from mien.finetune.encoder import EncoderConfig, EncoderTrainer
from mien.finetune.grow import grow_encoder
from mien.media.dataset import load_dataset
from mien.models.bundle import Model
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig


def main() -> None:
    """Train for the planned time, saving every three minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0, help="planned time; the learning rate falls to zero over it")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--max-width", type=int, default=256)
    parser.add_argument("--resolution", type=int, default=64, help="side of the pictures that the encoder sees")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--folder-weight", action="append", default=[], metavar="NAME=WEIGHT")
    parser.add_argument("--start", type=Path, default=None)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model = load_model(arguments.model)
    torch.manual_seed(arguments.seed)
    encoder = _started(arguments.start, model) or CompactEncoder(
        CompactEncoderConfig(
            min(arguments.resolution, model.resolution), model.generator.num_ws, model.generator.config.w_dim,
            width=arguments.width, max_width=arguments.max_width,
        )
    )  # fmt: skip
    weights = {name: float(value) for name, value in (pair.split("=") for pair in arguments.folder_weight)}
    data = load_dataset(arguments.dataset, model.resolution, folder_weights=weights)
    trainer = EncoderTrainer(
        model,
        encoder,
        EncoderConfig(batch=arguments.batch, learning_rate=arguments.learning_rate, bf16=True),
        seed=arguments.seed,
    )
    random = torch.Generator().manual_seed(arguments.seed)
    start = saved = time.monotonic()
    steps, sums = 0, {}
    while (passed := (time.monotonic() - start) / 60 / arguments.minutes) < 1:
        losses = trainer.step(data.batch(arguments.batch * 3 // 4, random), passed)
        steps += 1
        sums = {k: sums.get(k, 0.0) + v for k, v in losses.items()}
        if steps % 50 == 0:
            line = " ".join(f"{k} {v / 50:.4f}" for k, v in sums.items())
            print(f"{steps:6d} steps {100 * passed:5.1f} % {line}", flush=True)
            sums = {}
        if time.monotonic() - saved > 180:
            saved = time.monotonic()
            _save(arguments.output, model, encoder)
    _save(arguments.output, model, encoder)


def _save(path: Path, model: Model, encoder: CompactEncoder) -> None:
    write_model(path, replace(model, encoder=encoder))


def _started(path: Path | None, model: Model) -> CompactEncoder | None:
    if path is None:
        return None
    old = load_model(path).encoder
    if not isinstance(old, CompactEncoder) or old.config.w_dim != model.generator.config.w_dim:
        raise SystemExit(f"{path} has no encoder for codes of length {model.generator.config.w_dim}")
    return grow_encoder(old, model.generator.num_ws)


if __name__ == "__main__":
    main()
