"""What a training run writes from time to time: its model, its state, grids of samples, its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mien.checkpoint.model_file import generator_digest, write_model
from mien.checkpoint.state import write_state
from mien.media.image_dataset import Dataset
from mien.models.model import Model, Provenance
from mien.ops import FirMethod
from mien.training.html_report import page
from mien.training.run_folder import RunFolder
from mien.training.samples import rebuilt_grid, sample_grid
from mien.training.session import Session
from mien.training.statistics import Totals
from mien.training.trainer import AdversarialTrainer


@dataclass
class Snapshots:
    """Writes the files of a run; only the first of several processes has one."""

    folder: RunFolder
    session: Session
    source: Model | None
    blurred_background: bool

    def write(self, trainer: AdversarialTrainer, totals: Totals, data: Dataset, place: dict[str, Any]) -> None:
        """Write model, grids, state and page; the state last but one, so that it never is ahead of the rest.

        `place` is what the state holds beside the trainer: stage, digest of the images, filter method.
        """
        self.model(self.folder.model, trainer)
        name = f"{trainer.generator.config.resolution:04d}px-{trainer.images:09d}"
        if trainer.reconstruction is not None:
            reals = data.batch(16, torch.Generator().manual_seed(1), mirror=False, device=self.session.device)
            self.folder.write_grid(f"rebuilt-{name}", rebuilt_grid(trainer.ema, trainer.reconstruction.ema, reals))
        grid = sample_grid(trainer.ema, source=trainer.source, source_rows=trainer.plan.source_rows)
        self.folder.write_grid(name, grid)
        tensors, loop = trainer.state(moments=self.session.moments)
        document = {**place, "loop": loop, "counts": totals.counts}
        write_state(self.folder.state, tensors | totals.tensors(), document, part_bytes=self.session.part_bytes)
        self.folder.write("index.html", page(self.folder))

    def model(self, path: Path, trainer: AdversarialTrainer) -> None:
        """Write the moving averages and the discriminator as a model."""
        terms, begun, base = "unknown", "from scratch", ""
        if self.source is not None:
            terms = self.source.provenance.license
            base = self.source.provenance.digest or generator_digest(self.source.generator)
            begun = f"from {self.source.provenance.name} ({base})"
        told = Provenance(self.folder.path.resolve().name, terms, f"trained by mien {begun}", trainer.images, base=base)
        encoder = trainer.reconstruction.ema if trainer.reconstruction else None
        write_model(path, Model(trainer.ema, trainer.discriminator, encoder, told, self.blurred_background))


def place_of(stage: int, data_digest: str, fir: FirMethod, device: torch.device) -> dict[str, Any]:
    """What a state holds beside the trainer; its keys are a format."""
    return {"stage": stage, "pictures": data_digest, "fir": [fir, device.type]}
