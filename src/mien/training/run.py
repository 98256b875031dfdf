"""A whole training run in a folder: from scratch or from a model, grown in stages, killed and continued at will.

Each random number follows from the seed and the step, so a continued run computes what an uninterrupted one would have.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.checkpoint.load import load_model
from mien.checkpoint.model_file import generator_digest, read_model, write_model
from mien.checkpoint.state import has_state, read_state, write_state
from mien.errors import InputError
from mien.media.image_dataset import Dataset, load_dataset
from mien.models.compact_encoder import CompactEncoder
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator
from mien.models.model import Model, Provenance
from mien.ops import use_fir
from mien.training.augment import AdaptiveAugment
from mien.training.config import LETTERS, TrainConfig
from mien.training.distributed import Processes
from mien.training.encoder import Reconstruction
from mien.training.filter_choice import check_method, pick_method
from mien.training.freeze import make_plan
from mien.training.html_report import page
from mien.training.networks import (
    check_source,
    first_encoder,
    first_networks,
    grow_encoder,
    grown_source,
    networks_to_fill,
    next_networks,
)
from mien.training.resolve import check_same
from mien.training.run_folder import RunFolder
from mien.training.samples import rebuilt_grid, sample_grid
from mien.training.session import DivergedError, Outcome, Session, Tell
from mien.training.trainer import AdversarialTrainer, Measured


def train(config: TrainConfig, run: Path, session: Session = Session()) -> Outcome:  # noqa: B008 (frozen)
    """Train in the folder `run`: begins there, or continues what is there.

    Raises `InputError` where the folder holds a run of another configuration, and `DivergedError` when losses become infinite;
    the last snapshot then is as it was.
    """
    processes = Processes.from_environment(session.device)
    try:
        return _Run(config, RunFolder(run), session, processes).loop()
    finally:
        processes.leave()


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
        self.stage = 0
        saved = read_state(folder.state) if has_state(folder.state) else None
        self.stage = int(saved[1]["stage"]) if saved else 0
        fresh = first_networks(config, self.source) if saved is None else networks_to_fill(config, self.source, self.stage)
        self.trainer = self._trainer(*fresh, first_encoder(config, self.source, fresh[0]), 0.0)
        self.data = self._load_data()
        self.totals: Measured = {}
        self.counts: dict[str, int] = {}
        if processes.first:
            folder.remove_left_overs()
            folder.write_config(config)
            if self.source is not None and not folder.source.exists():
                write_model(folder.source, self.source)
            folder.cut_lines(0 if saved is None else int(saved[1]["loop"]["steps"]))
        if saved is not None:
            self._restore(*saved)
        else:
            self._write_plan()
        self.fir = pick_method(config, session, processes, None if saved is None else saved[1].get("fir"))
        self.kept = self._keep_count()
        self.last_images = self.trainer.images
        self.timed_images, self.timed_from = self.trainer.images, time.monotonic()

    def _trainer(
        self, generator: Generator, discriminator: Discriminator, encoder: CompactEncoder | None, strength: float
    ) -> AdversarialTrainer:
        config, device = self.config, self.session.device
        source = None
        if config.plan.needs_source:
            if self.source is None:
                raise InputError(
                    "FreezeSG and structure loss compare with the model that training starts from: give --from MODEL."
                )
            source = grown_source(config, self.source, generator.config.resolution)
        plan = make_plan(config.plan, generator, discriminator, has_source=source is not None)
        augment = AdaptiveAugment(strength, *(letter in config.augment for letter in LETTERS)) if config.augment else None
        try:
            rebuilt = None if encoder is None else self._reconstruction(encoder.to(device))
            return AdversarialTrainer(
                generator.to(device), discriminator.to(device), config.adversarial_at(self.stage), augment=augment,
                seed=config.seed, plan=plan, source=None if source is None else source.to(device), reconstruction=rebuilt,
                processes=self.processes,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"This training cannot be: {error}.") from error

    def _reconstruction(self, encoder: CompactEncoder) -> Reconstruction:
        wants = self.config.reconstruction
        network = read_identity_network().to(self.session.device) if wants.identity else None
        return Reconstruction(encoder, wants, None if network is None else network.embed_crop)

    def _load_data(self) -> Dataset:
        r = self.config.stages[self.stage]
        data = load_dataset(
            Path(self.config.data), r, folder_weights=self.config.folder_weights, memory_share=self.session.memory_share,
            folder=self.folder.path,
        )  # fmt: skip
        self.pictures = data.digest()
        report = data.report()
        if self.processes.first:
            self.folder.write("data.txt", report + "\n")
        few = report.splitlines()
        self.tell(
            "\n".join(few[:8] + ([f"... and {len(few) - 8} more: {self.folder.path / 'data.txt'}"] if len(few) > 8 else []))
        )
        return data.to(self.session.device)

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.data.batch(count, generator, mirror=self.config.mirror, device=self.session.device)

    def loop(self) -> Outcome:
        """Step until the run is complete, the time is up or somebody wants it to stop."""
        with use_fir(self.fir):
            return self._steps()

    def _steps(self) -> Outcome:
        t, config = self.trainer, self.config
        while True:
            complete = 0 < config.kimg * 1000 <= t.images
            if complete or self._stopping():
                self.snapshot()
                return Outcome(complete, t.images, t.steps, self.folder.model)
            if t.images >= config.stage_end(self.stage):
                self._next_stage()
                t = self.trainer
            self._count(t.step(self._draw))
            if t.steps % config.stats_steps == 0:
                self._statistics()
            if self._snapshot_is_due():
                self.snapshot()

    def _stopping(self) -> bool:
        if self.processes.count > 1 and self.trainer.steps % self.config.stats_steps:
            return False  # asking the others is an exchange: not at every step
        minutes = (time.monotonic() - self.begun) / 60
        late = self.session.max_minutes is not None and minutes >= self.session.max_minutes
        return self.processes.any(late or self.session.stop())

    def _snapshot_is_due(self) -> bool:
        c, images = self.config, self.trainer.images
        by_time = c.snapshot_minutes and time.monotonic() - self.last_snapshot >= c.snapshot_minutes * 60
        by_images = c.snapshot_kimg and images // (c.snapshot_kimg * 1000) > self.last_images // (c.snapshot_kimg * 1000)
        return bool(by_time or by_images) or self._keep_count() > self.kept

    def _keep_count(self) -> int:
        return int(self.trainer.images // (self.config.keep_kimg * 1000)) if self.config.keep_kimg else 0

    def _count(self, measured: Measured) -> None:
        for name, value in measured.items():
            self.totals[name] = self.totals[name] + value if name in self.totals else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def _means(self) -> dict[str, float]:
        """Means since the last line of statistics; the only other place that waits for the device."""
        found = {name: float(value) / self.counts[name] for name, value in self.totals.items()}
        if any(value != value or abs(value) == float("inf") for value in found.values()):
            raise DivergedError(
                f"The losses are no numbers any more after {self.trainer.images} pictures: start again from the last snapshot "
                f"with a lower --learning-rate or a higher --r1-gamma."
            )
        return found

    def _statistics(self) -> None:
        t, now = self.trainer, time.monotonic()
        line: dict[str, Any] = {"px": self.config.stages[self.stage], "images": t.images, "steps": t.steps, **self._means()}
        line["ada_p"] = t.augment.p if t.augment else 0.0
        line["images_per_second"] = (t.images - self.timed_images) / max(now - self.timed_from, 1e-9)
        line["seconds_left"] = self._seconds_left(line["images_per_second"])
        line["time"] = time.time()
        self.totals, self.counts = {}, {}
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
        """Write model, state, grid and page; the state last but one, so that it never is ahead of the rest."""
        self._means()
        if self.processes.first:
            t, px = self.trainer, self.config.stages[self.stage]
            self._write_model(self.folder.model)
            if self._keep_count() > self.kept:
                self._write_model(self.folder.path / f"model-{t.images:09d}.safetensors")
            if t.reconstruction is not None:
                self.folder.write_grid(f"rebuilt-{px:04d}px-{t.images:09d}", self._rebuilt(t.reconstruction.ema))
            grid = sample_grid(t.ema, source=t.source, source_rows=t.plan.source_rows)
            self.folder.write_grid(f"{px:04d}px-{t.images:09d}", grid)
            tensors, loop = t.state(moments=self.session.moments)
            tensors |= {f"totals.{name}": value for name, value in self.totals.items()}
            document = {"stage": self.stage, "loop": loop, "counts": self.counts, "pictures": self.pictures}
            document["fir"] = [self.fir, self.session.device.type]
            write_state(self.folder.state, tensors, document, part_bytes=self.session.part_bytes)
            self.folder.write("index.html", page(self.folder))
            self.tell(f"snapshot after {t.images / 1000:.1f}k pictures: {self.folder.model}")
        self.kept = self._keep_count()
        self.last_images, self.last_snapshot = self.trainer.images, time.monotonic()

    def _rebuilt(self, encoder: CompactEncoder) -> Tensor:
        reals = self.data.batch(16, torch.Generator().manual_seed(1), mirror=False, device=self.session.device)
        return rebuilt_grid(self.trainer.ema, encoder, reals)

    def _write_model(self, path: Path) -> None:
        t = self.trainer
        licence, begun, base = "unknown", "from scratch", ""
        if self.source is not None:
            licence = self.source.provenance.licence
            base = self.source.provenance.digest or generator_digest(self.source.generator)
            begun = f"from {self.source.provenance.name} ({base})"
        told = Provenance(self.folder.path.resolve().name, licence, f"trained by mien {begun}", t.images, base=base)
        encoder = t.reconstruction.ema if t.reconstruction else None
        write_model(path, Model(t.ema, t.discriminator, encoder, told, self.config.soft_ground))

    def _restore(self, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        if document["pictures"] != self.pictures:
            raise InputError(
                f"{self.config.data} does not hold the pictures that this run was begun with: give those, or begin another."
            )
        self.trainer.restore(tensors, document["loop"])
        self.counts = {name: int(count) for name, count in document["counts"].items()}
        self.totals = {name: tensors[f"totals.{name}"].to(self.session.device) for name in self.counts}
        without = "" if document["loop"]["moments"] else ", without Adam's moments: this is another run from here on"
        self.tell(f"continues after {self.trainer.images / 1000:.1f}k pictures{without}")

    def _next_stage(self) -> None:
        old, px = self.trainer, self.config.stages[self.stage]
        self.snapshot()
        if self.processes.first:
            self._write_model(self.folder.path / f"model-{px}px.safetensors")
        self.stage += 1
        px = self.config.stages[self.stage]
        generator, discriminator, average = next_networks(
            old.generator.cpu(), old.discriminator.cpu(), old.ema.cpu(), px, self.config.seed + self.stage
        )
        encoder = grow_encoder(old.reconstruction.encoder.cpu(), generator.num_ws) if old.reconstruction else None
        self.trainer = self._trainer(generator, discriminator, encoder, old.augment.p if old.augment else 0.0)
        self.trainer.ema.load_state_dict(average.state_dict())
        if old.reconstruction and self.trainer.reconstruction:
            follower = grow_encoder(old.reconstruction.ema.cpu(), generator.num_ws)
            self.trainer.reconstruction.ema.load_state_dict(follower.state_dict())
        self.trainer.images, self.trainer.steps = old.images, old.steps
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
