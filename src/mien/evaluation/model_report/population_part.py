"""The part of a report that compares many samples with many images: distances, truncation, diversity, copies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mien.evaluation.model_report.parts import Features, Session, diversity, pixels_of, set_distances
from mien.evaluation.model_report.report_sheets import nearest_sheet
from mien.evaluation.model_report.workspace import pixels_digest
from mien.media.image_dataset import Dataset
from mien.metrics.distances import nearest_neighbours
from mien.models.sampling import map_latents, random_latents

SAMPLE_WORK = 2.0
"""Work of rendering and describing one sample, in units of one image described."""
_SHOWN, _MOST_ALIKE = 32, 16


class Population:
    """Samples of a model at several truncations beside two halves of a data set, `count` images each.

    Distances depend on the number of images, so that all comparisons have the same one. The halves are drawn by the seed.
    """

    def __init__(self, session: Session, data: Dataset | None, samples: int, psis: list[float]) -> None:
        self.session, self.data, self.psis = session, data, psis
        self.count = samples if data is None else min(samples, len(data) // 2)
        self.order = torch.zeros(0, dtype=torch.int64)
        if data is not None:
            order = torch.randperm(len(data), generator=torch.Generator().manual_seed(session.seed))
            # The rest beyond two halves is searched for copies too, unless that would be most of the work.
            self.order = order if len(data) <= 3 * samples else order[: 2 * samples]

    @property
    def work(self) -> float:
        """How much there is to do, in units of one image described."""
        return SAMPLE_WORK * len(self.psis) * self.count + len(self.order)

    def measure(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Numbers and sheets; what needs a data set or a network that is not there is left out."""
        real = self._real()
        half_a = {name: value[: self.count] for name, value in real.items()}
        half_b = {name: value[self.count : 2 * self.count] for name, value in real.items()}
        samples = {psi: self._samples(psi) for psi in self.psis}
        sweep = [
            {"psi": psi, **(set_distances(found, half_a) if real else {}), "identity": diversity(found)}
            for psi, found in samples.items()
        ]
        numbers: dict[str, Any] = {"truncation": sweep}
        if not real:
            return numbers, {}
        numbers["distribution"] = {
            "count": self.count,
            "samples_vs_half_a": set_distances(samples[1.0], half_a),
            "half_b_vs_half_a": set_distances(half_b, half_a),
        }
        if "identity" not in real:
            return numbers, {}
        numbers["diversity"] = {"training_half_a": diversity(half_a), "training_half_b": diversity(half_b)}
        queries = {"half_b": half_b, "samples_psi_0.7": samples[0.7], "samples_psi_1": samples[1.0]}
        numbers["nearest"] = {
            f"{name}_to_half_a": _likeness(features["identity"], half_a["identity"]) for name, features in queries.items()
        }
        return numbers, self._copies(samples[1.0]["identity"], real["identity"])

    def _real(self) -> Features:
        if self.data is None:
            return {}
        pixels, order = self.data.pixels, self.order
        settings = {"pixels": pixels_digest(pixels), "seed": self.session.seed}
        return self.session.describe_all("training", settings, lambda a, b: pixels[order[a:b]], len(order), 1.0)

    def _samples(self, psi: float) -> Features:
        z = random_latents(self.session.model.generator, self.count, self.session.seed)
        settings = {"model": self.session.digests["generator"], "psi": psi, "seed": self.session.seed}
        return self.session.describe_all(
            f"samples-{psi:g}", settings, lambda a, b: self._pixels_of(z[a:b], psi), self.count, SAMPLE_WORK
        )

    def _pixels_of(self, z: Tensor, psi: float) -> Tensor:
        return pixels_of(self.session.model, map_latents(self.session.model.generator, z, psi), self.session.batch)

    def _copies(self, samples: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The first samples, and of all samples those most like a training face, beside that face."""
        assert self.data is not None
        z = random_latents(self.session.model.generator, self.count, self.session.seed)
        found = nearest_neighbours(samples, real)
        likeness = found.similarity[:, 0]
        chosen = {
            "nearest": torch.arange(self.count)[:_SHOWN],
            "nearest-most-alike": likeness.argsort(descending=True)[:_MOST_ALIKE],
        }
        made = {}
        for name, index in chosen.items():
            faces = self.data.pixels[self.order[found.index[index, 0]]]
            made[name] = nearest_sheet(self._pixels_of(z[index], 1.0), faces, likeness[index].tolist())
        return made


def _likeness(queries: Tensor, references: Tensor) -> dict[str, float]:
    similarity = nearest_neighbours(queries, references).similarity[:, 0]
    return {"mean": float(similarity.mean()), "largest": float(similarity.max())}
