"""The contact sheets of a report: nothing in them is chosen by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.editing.config import BANDS
from mien.evaluation.model_report.parts import pixels_of
from mien.latents import style_layers
from mien.media.contact_sheet import sheet
from mien.metrics.perceptual import as_images
from mien.models.model import Model
from mien.models.sampling import map_latents


def _cell(model: Model) -> int:
    return min(128, max(64, model.resolution))


def _grid(pixels: Tensor, columns: int) -> list[list[Tensor | None]]:
    images: list[Tensor | None] = list(as_images(pixels))
    return [images[i : i + columns] for i in range(0, len(images), columns)]


def sample_sheet(model: Model, z: Tensor, psi: float) -> Tensor:
    """All samples of `z` [N, z_dim], eight in a row."""
    return sheet(_grid(pixels_of(model, map_latents(model.generator, z, psi)), 8), size=_cell(model), gap=0)


def truncation_sheet(model: Model, z: Tensor, psis: list[float]) -> Tensor:
    """The same inputs at every truncation, one row each."""
    rows = [list(as_images(pixels_of(model, map_latents(model.generator, z, psi)))) for psi in psis]
    return sheet(rows, size=_cell(model), row_labels=[f"psi {psi:g}" for psi in psis], gap=2)


def mixing_sheet(model: Model, z: Tensor, psi: float, sources: int = 6) -> Tensor:
    """Style mixing: the first `sources` codes give bands of rows to the next ones, two codes for each band."""
    codes = map_latents(model.generator, z, psi)
    givers, takers = codes[:sources], iter(codes[sources:])
    # Each row belongs to the largest block that it drives; the last one drives the last toRGB alone.
    driven = {layer.row: layer.resolution for layer in style_layers(model.resolution)}
    rows: list[list[Tensor | None]] = [[None, *as_images(pixels_of(model, givers))]]
    labels = ["gives"]
    for name, (low, high) in BANDS.items():
        rows_of = [row for row, side in driven.items() if low <= side <= high]
        for _ in range(2 if rows_of else 0):
            taker = next(takers)[None]
            mixed = taker.repeat(len(givers), 1, 1)
            mixed[:, rows_of] = givers[:, rows_of]
            rows.append(list(as_images(pixels_of(model, torch.cat([taker, mixed])))))
            high = min(high, model.resolution)
            labels.append(f"takes {name}\n" + (f"{low} px" if low == high else f"{low}-{high} px"))
    return sheet(rows, size=_cell(model), row_labels=labels, gap=2)


def interpolation_sheet(model: Model, z: Tensor, psi: float, steps: int = 9) -> Tensor:
    """From each code to the next one on a straight line in W, one row for each pair of `z` [2 N, z_dim]."""
    codes = map_latents(model.generator, z, psi)
    weights = torch.linspace(0, 1, steps, device=codes.device)[:, None, None]
    rows = [
        list(as_images(pixels_of(model, torch.lerp(a[None], b[None], weights))))
        for a, b in zip(codes[::2], codes[1::2], strict=True)
    ]
    return sheet(rows, size=_cell(model), gap=0)


def nearest_sheet(samples: Tensor, faces: Tensor, similarity: list[float]) -> Tensor:
    """Pairs of a sample and its nearest training face (uint8), four in a row, with their cosine."""
    cells: list[Tensor | None] = [image for pair in zip(as_images(samples), as_images(faces), strict=True) for image in pair]
    texts: list[str | None] = [text for value in similarity for text in ("sample", f"nearest {value:.2f}")]
    rows, captions = ([items[i : i + 8] for i in range(0, len(cells), 8)] for items in (cells, texts))
    return sheet(rows, size=max(96, min(128, samples.shape[-1])), captions=captions)  # type: ignore[arg-type]


def inversion_sheet(originals: Tensor, stages: dict[str, tuple[Tensor, list[float] | None]], columns: int = 8) -> Tensor:
    """Photos above what each stage makes of them (uint8), with the identity cosine; as many blocks as the photos need."""
    rows: list[list[Tensor | None]] = []
    labels: list[str] = []
    captions: list[list[str | None]] = []
    for start in range(0, len(originals), columns):
        stop = min(len(originals), start + columns)
        rows.append(list(as_images(originals[start:stop])))
        labels.append("photo")
        captions.append([None] * (stop - start))
        for name, (pixels, cosines) in stages.items():
            rows.append(list(as_images(pixels[start:stop])))
            labels.append(name)
            captions.append([None] * (stop - start) if cosines is None else [f"{c:.2f}" for c in cosines[start:stop]])
    return sheet(rows, size=min(160, max(96, originals.shape[-1])), row_labels=labels, captions=captions)
