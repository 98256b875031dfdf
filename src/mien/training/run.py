"""A whole training run in a folder: from scratch or from a model, grown in stages, killed and continued at will.

Each random number follows from the seed and the step, so a continued run computes what an uninterrupted one would have.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.checkpoint.load import load_model
from mien.checkpoint.model_file import read_model, write_model
from mien.checkpoint.state import has_state
from mien.config import with_settings
from mien.errors import InputError
from mien.folder_lock import only_process
from mien.media.image_dataset import Dataset, load_dataset
from mien.models.compact_encoder import CompactEncoder
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator
from mien.models.model import Model
from mien.ops import use_fir
from mien.runtime import wait_for
from mien.training.augment import AdaptiveAugment
from mien.training.config import LETTERS, TrainConfig
from mien.training.cuda_graphs import quick_arithmetic, uses_graphs
from mien.training.distributed import Processes
from mien.training.encoder import Reconstruction
from mien.training.encoder_networks import encoder_of_stage, next_encoder
from mien.training.filter_choice import check_method, pick_method
from mien.training.freeze import make_plan
from mien.training.networks import check_source, first_networks, grown_source, networks_to_fill, next_networks
from mien.training.objectives import Networks
from mien.training.resolve import changed, check_same, resolve
from mien.training.run_folder import RunFolder
from mien.training.samples import sample_grid
from mien.training.saved_state import read_run
from mien.training.schedule import rate_factor, share_done
from mien.training.session import Outcome, Session, Tell
from mien.training.snapshots import Snapshots, place_of
from mien.training.statistics import Totals, diverged
from mien.training.trainer import AdversarialTrainer

# The host may run ahead of a GPU by so many steps: further, and clocks would be read long before what they time is done.
_AHEAD = 10


def train(
    config: TrainConfig | str | Path, run: str | Path, session: Session = Session(), **settings: Any,  # noqa: B008 (frozen)
) -> Outcome:  # fmt: skip
    """Train in the folder `run`, or continue the run there.

    `config` is a configuration, or only the folder or zip of images: then the run's own, or one that suits the device.
    `settings` change single values of it by name, as in `stages=(32, 64), kimg=200`. `session` says where and how long.
    Raises `InputError` where the folder holds a run of another configuration or another process trains in it, and
    `DivergedError` when losses become infinite; the last snapshot then is as it was.
    """
    processes = Processes.from_environment(session.device)
    try:
        folder = RunFolder(Path(run))
        if isinstance(config, TrainConfig):
            (wanted,) = with_settings(settings, config)
        else:
            wanted = _usual({"data": str(config), **settings}, folder, session.device)
        with only_process(folder.path) if processes.first else nullcontext(), quick_arithmetic(session.device):
            return _Run(wanted, folder, session, processes).loop()
    finally:
        processes.leave()


def _usual(settings: dict[str, Any], folder: RunFolder, device: torch.device) -> TrainConfig:
    """The configuration that the run has, or that suits the device, with these settings."""
    known = {f.name for f in fields(TrainConfig)}
    with_settings({n: v for n, v in settings.items() if n not in known}, TrainConfig(data=""))  # refuses what is none
    stored, quick = folder.config(), device.type == "cuda"
    if stored is not None:
        return changed(stored, settings)
    bf16 = quick and torch.cuda.is_bf16_supported()
    return resolve(settings, size=settings.get("size", "normal" if quick else "lean"), bf16=bf16)


class _Run:
    def __init__(self, config: TrainConfig, folder: RunFolder, session: Session, processes: Processes) -> None:
        self.folder, self.session, self.processes = folder, session, processes
        self.tell: Tell = session.tell if processes.first else lambda line: None
        self.begun = self.last_snapshot = time.monotonic()
        stored = folder.config()
        self.source: Model | None = None
        if config.source:
            self.source = read_model(folder.source) if folder.source.exists() else load_model(config.source)
            config = check_source(config, self.source)
        if stored is not None:
            check_same(stored, config, folder.path)
        self.config = config
        if session.fir is not None:
            check_method(session.fir, session.device)
        # Unreadable data, impossible plans and batches are told before anything is written.
        saved = read_run(folder.state, len(config.stages)) if has_state(folder.state) else None
        self.stage = saved[1]["stage"] if saved else 0
        fresh = first_networks(config, self.source) if saved is None else networks_to_fill(config, self.source, self.stage)
        self.trainer = self._trainer(*fresh, encoder_of_stage(config, self.source, fresh[0], self.stage), 0.0)
        self.data = self._load_data()
        self.totals, self.done = Totals(), share_done(0, config.kimg, 0.0, session.max_minutes)
        self.snapshots = Snapshots(folder, session, self.source, config.blurred_background)
        if processes.first:
            self._open_folder(0 if saved is None else int(saved[1]["loop"]["steps"]))
        if saved is not None:
            self._restore(*saved)
        else:
            self._write_plan()
        self.fir = pick_method(config, session, processes, None if saved is None else saved[1].get("fir"))
        self.kept, self.last_images = self._keep_count(), self.trainer.images
        self.timed_images, self.timed_from = self.trainer.images, time.monotonic()

    def _open_folder(self, steps: int) -> None:
        self.folder.remove_left_overs()
        self.folder.write_config(self.config)
        if self.source is not None and not self.folder.source.exists():
            write_model(self.folder.source, self.source)
        self.folder.cut_lines(steps)

    def _trainer(
        self, generator: Generator, discriminator: Discriminator, encoder: CompactEncoder | None, strength: float
    ) -> AdversarialTrainer:
        config, device = self.config, self.session.device
        source = None
        if config.plan.needs_source:
            if self.source is None:
                raise InputError("FreezeSG and structure loss compare with the model that training starts from: give source.")
            source = grown_source(config, self.source, generator.config.resolution).to(device)
        plan = make_plan(config.plan, generator, discriminator, has_source=source is not None)
        augment = AdaptiveAugment(strength, *(letter in config.augment for letter in LETTERS)) if config.augment else None
        try:
            rebuilt = None if encoder is None else self._reconstruction(encoder.to(device))
            return AdversarialTrainer(
                Networks(generator.to(device), discriminator.to(device), rebuilt, source), config.adversarial_at(self.stage),
                self._draw, augment=augment, plan=plan, seed=config.seed, processes=self.processes,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"This training cannot be: {error}.") from error

    def _reconstruction(self, encoder: CompactEncoder) -> Reconstruction:
        wants = self.config.reconstruction
        network = read_identity_network().to(self.session.device).requires_grad_(False) if wants.identity else None
        return Reconstruction(encoder, wants, None if network is None else network.embed_crop)

    def _load_data(self) -> Dataset:
        r, device = self.config.stages[self.stage], self.session.device
        data = load_dataset(
            Path(self.config.data), r, folder_weights=self.config.folder_weights, memory_share=self.session.memory_share,
            folder=self.folder.path,
        )  # fmt: skip
        self.data_digest = data.digest()
        report = data.report()
        if self.processes.first:
            self.folder.write("data.txt", report + "\n")
        few = report.splitlines()
        self.tell(
            "\n".join(few[:8] + ([f"... and {len(few) - 8} more: {self.folder.path / 'data.txt'}"] if len(few) > 8 else []))
        )
        data.to(device)
        if uses_graphs(self.config.cuda_graphs, device, resident=data.pixels.device.type == device.type):
            self.trainer.use_graphs()
        return data

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.data.batch(count, generator, mirror=self.config.mirror, device=self.session.device)

    def loop(self) -> Outcome:
        """Step until the run is complete, the time is up or somebody wants it to stop."""
        with use_fir(self.fir):
            return self._steps()

    def _steps(self) -> Outcome:
        config = self.config
        while True:
            t = self.trainer
            complete = 0 < config.kimg * 1000 <= t.images
            if complete or self._stopping():
                self.snapshot()
                return Outcome(complete, t.images, t.steps, self.folder.model)
            if t.images >= config.stage_end(self.stage):
                self._next_stage()
                t = self.trainer
            self.totals.add(t.step(rate_factor(config.adversarial, t.steps - t.fresh_since, self.done)))
            if t.steps % _AHEAD == 0:
                wait_for(self.session.device)
            if t.steps % config.stats_steps == 0:
                self._statistics()
            if self._snapshot_is_due():
                self.snapshot()

    def _stopping(self) -> bool:
        if self.processes.count > 1 and self.trainer.steps % self.config.stats_steps:
            return False  # asking the others is an exchange: not at every step
        minutes = (time.monotonic() - self.begun) / 60
        done = share_done(self.trainer.images, self.config.kimg, minutes, self.session.max_minutes)
        if done is not None:  # one clock for all: their learning rates must be the same
            self.done = float(self.processes.of_first(repr(done)))
        late = self.session.max_minutes is not None and minutes >= self.session.max_minutes
        return self.processes.any(late or self.session.stop())

    def _snapshot_is_due(self) -> bool:
        c, images = self.config, self.trainer.images
        by_time = c.snapshot_minutes and time.monotonic() - self.last_snapshot >= c.snapshot_minutes * 60
        by_images = c.snapshot_kimg and images // (c.snapshot_kimg * 1000) > self.last_images // (c.snapshot_kimg * 1000)
        return bool(by_time or by_images) or self._keep_count() > self.kept

    def _keep_count(self) -> int:
        return int(self.trainer.images // (self.config.keep_kimg * 1000)) if self.config.keep_kimg else 0

    def _statistics(self) -> None:
        t, now = self.trainer, time.monotonic()
        line: dict[str, Any] = {"px": self.config.stages[self.stage], "images": t.images, "steps": t.steps}
        line |= self.totals.means(t.images)
        line["ada_p"] = t.ada_p
        line["rate"] = rate_factor(self.config.adversarial, t.steps - t.fresh_since, self.done)
        line["images_per_second"] = (t.images - self.timed_images) / max(now - self.timed_from, 1e-9)
        line["seconds_left"] = self._seconds_left(line["images_per_second"])
        line["time"] = time.time()
        self.totals.clear()
        self.timed_images, self.timed_from = t.images, now
        if self.processes.first:
            self.folder.add_line(line)
            self.session.show(line)

    def _seconds_left(self, rate: float) -> float | None:
        left = []
        if self.config.kimg:
            left.append((self.config.kimg * 1000 - self.trainer.images) / max(rate, 1e-9))
        if self.session.max_minutes is not None:
            left.append(self.session.max_minutes * 60 - (time.monotonic() - self.begun))
        return max(0.0, min(left)) if left else None

    def snapshot(self) -> None:
        """Write everything that continuing needs, and what there is to see."""
        t = self.trainer
        self.totals.means(t.images)
        if not t.finite():  # before anything is written
            raise diverged(t.images)
        if self.processes.first:
            self.snapshots.write(
                t, self.totals, self.data, place_of(self.stage, self.data_digest, self.fir, self.session.device)
            )
            if self._keep_count() > self.kept:
                self.snapshots.model(self.folder.path / f"model-{t.images:09d}.safetensors", t)
            self.tell(f"snapshot after {t.images / 1000:.1f}k images: {self.folder.model}")
        self.kept = self._keep_count()
        self.last_images, self.last_snapshot = t.images, time.monotonic()

    def _restore(self, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        if document["pictures"] != self.data_digest:
            raise InputError(
                f"{self.config.data} does not hold the images that this run was begun with: give those, or begin another."
            )
        self.trainer.restore(tensors, document["loop"])
        self.totals.restore(tensors, document["counts"], self.session.device)
        without = "" if document["loop"]["moments"] else ", without Adam's moments: this is another run from here on"
        self.tell(f"continues after {self.trainer.images / 1000:.1f}k images{without}")

    def _next_stage(self) -> None:
        old = self.trainer
        self.snapshot()
        if self.processes.first:
            self.snapshots.model(self.folder.path / f"model-{self.config.stages[self.stage]}px.safetensors", old)
        self.stage += 1
        generator, discriminator, average = next_networks(
            old.generator.cpu(), old.discriminator.cpu(), old.ema.cpu(), self.config.stages[self.stage],
            self.config.seed + self.stage,
        )  # fmt: skip
        rebuilt = old.reconstruction
        encoder = next_encoder(self.config, rebuilt.encoder.cpu(), generator, self.stage) if rebuilt else None
        self.trainer = self._trainer(generator, discriminator, encoder, old.ada_p)
        self.trainer.ema.load_state_dict(average.state_dict())
        if rebuilt and self.trainer.reconstruction:
            follower = next_encoder(self.config, rebuilt.ema.cpu(), generator, self.stage)
            self.trainer.reconstruction.ema.load_state_dict(follower.state_dict())
        self.trainer.images, self.trainer.steps, self.trainer.fresh_since = old.images, old.steps, old.steps
        self.data = self._load_data()
        self._write_plan()

    def _write_plan(self) -> None:
        text = self.trainer.plan.text
        self.tell(text)
        if self.processes.first:
            file = self.folder.path / "plan.txt"
            before = file.read_text(encoding="utf-8") if self.stage and file.exists() else ""
            self.folder.write("plan.txt", f"{before}stage {self.stage + 1} of {len(self.config.stages)}\n{text}\n\n")
            if self.source is not None and self.stage == 0:
                grid = sample_grid(self.source.generator.to(self.session.device))
                self.folder.write_grid("source", grid)
