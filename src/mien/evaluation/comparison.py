"""The inverters compared on the same photos: identity, density of the code, time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.evaluation.model_report.report_text import check_free, markdown_table
from mien.evaluation.outputs import read_faces
from mien.faces.background import as_learned
from mien.files import write_whole
from mien.inversion import METHODS, Codes, InvertConfig
from mien.inversion.density import CodeDensity, mapped_codes
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, write_image
from mien.metrics.distances import cosines
from mien.metrics.perceptual import perceptual_distance
from mien.metrics.spaces import MetricNetworks
from mien.pipeline import Stylizer
from mien.runtime import Progress

FILES = ("inverters.png", "inverters.md", "inverters.json")
_SHOWN = 12
_MAPPED = 4000
_READING = """- **L1**: mean absolute difference to the photo, both in [-1, 1]. **Identity**: cosine in {identity}, both gray.
  **Perceptual**: distance in {looks}, feature maps at unit length. **Code**: squared Mahalanobis distance in the P space, about
  1 for codes of the model's own faces: the larger, the less a code is one that styles were learned for.
- **Seconds** for one photo by itself, on this machine ({threads} threads on {device}) with whatever else it was doing."""


@dataclass(frozen=True)
class Way:
    """One way from a face to a code."""

    inverter: InvertConfig
    refine_steps: int = 0


def usual_ways(model_has_encoder: bool = True, steps: int | None = None) -> dict[str, Way]:
    """All methods, two of them refined, and a blend with the mean face; `steps` replaces the steps of all optimization."""
    ways: dict[str, Way] = {name: Way(InvertConfig(name, steps if name in ("w", "w+", "prior") else None)) for name in METHODS}
    refine = 40 if steps is None else steps
    for name in ("encoder", "iterated"):
        ways[f"{name}, refined"] = Way(InvertConfig(name), refine)
    ways["encoder, half the mean"] = Way(InvertConfig(towards_mean=0.5))
    return ways if model_has_encoder else {n: w for n, w in ways.items() if w.inverter.method in ("w", "w+", "prior", "mean")}


@dataclass
class Comparison:
    """The outcome: plain numbers, a contact sheet [3, H, W], and photos that could not be used."""

    numbers: dict[str, Any]
    sheet: Tensor
    failed: dict[str, str]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows, one for every way."""
        head = ["", "L1", "identity", "perceptual", "code", "seconds"]
        forms = {"l1": ".4f", "identity": ".3f", "perceptual": ".3f", "code": ".1f", "seconds": ".3f"}
        means = {name: way["mean"] for name, way in self.numbers["ways"].items()}
        return head, [[name, *(f"{mean[key]:{form}}" for key, form in forms.items())] for name, mean in means.items()]


def compare_inverters(
    stylizer: Stylizer, photos: Sequence[Path], instruments: MetricNetworks,
    ways: Mapping[str, Way] | None = None, *, aligned: bool = False,
    progress: Progress | None = None,
) -> Comparison:  # fmt: skip
    """Invert the largest face of every photo in every way (None: the usual ones), one photo at a time.

    `aligned`: the photos are face crops already. Renderings are compared with the crops as the model learned them, that is
    with a blurred background where it learned blurred backgrounds. Raises `InputError` when no photo can be used.
    """
    model = stylizer.model
    ways = ways or usual_ways(model.encoder is not None)
    faces, failed = read_faces(photos, (stylizer.resolution,), aligned=aligned)
    crops = torch.stack([face.crops[stylizer.resolution] for face in faces])
    goal = as_learned(model, crops)
    density = CodeDensity.of(mapped_codes(model.generator, _MAPPED))
    who = instruments.identity.vectors(goal)
    found: dict[str, Any] = {}
    drawn: list[Tensor] = []
    for name, way in ways.items():
        codes, seconds = [], []
        if not drawn:  # the first call of a network is slower than the others
            _found(stylizer, crops[:1], way)
        for crop in torch.split(crops, 1):
            start = time.perf_counter()
            codes.append(_found(stylizer, crop, way))
            seconds.append(time.perf_counter() - start)
            if progress is not None:
                progress(len(drawn) * len(crops) + len(codes), len(ways) * len(crops), 0.0)
        images = torch.cat([stylizer.render(code) for code in codes]).clamp(-1, 1)
        each = {
            "l1": (images - goal).abs().mean(dim=(1, 2, 3)),
            "identity": cosines(instruments.identity.vectors(images), who),
            "perceptual": _perceptual(instruments, images, goal),
            "code": torch.cat([density.out(code.w_plus) for code in codes]).cpu(),
            "seconds": torch.tensor(seconds),
        }
        mean = {key: float(values.double().mean()) for key, values in each.items()}
        found[name] = {**asdict(way), "mean": mean, "each": {key: values.tolist() for key, values in each.items()}}
        drawn.append(images)
    names = [face.path.stem for face in faces]
    numbers = {
        "photos": names, "ways": found, "model": model.provenance.name, "identity": instruments.identity.name,
        "looks": instruments.looks.name, "device": str(stylizer.device), "threads": torch.get_num_threads(),
    }  # fmt: skip
    return Comparison(numbers, _sheet(names, goal, dict(zip(found, drawn, strict=True)), found), failed)


def write_comparison(made: Comparison, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write sheet, table and numbers to `folder`, made if need be, and return the files.

    Raises `InputError` where one of them is there already, unless `overwrite`.
    """
    check_free(folder, FILES, overwrite=overwrite)
    write_image(folder / FILES[0], from_tensor(made.sheet), overwrite=overwrite)
    count, title = len(made.numbers["photos"]), "# From faces to codes"
    words = f"{count} photos, means; the model is {made.numbers['model']}."
    write_whole(
        folder / FILES[1], "\n\n".join([title, words, markdown_table(*made.table()), _READING.format(**made.numbers)]) + "\n"
    )
    write_whole(folder / FILES[2], json.dumps(made.numbers, indent=2, ensure_ascii=False) + "\n")
    return [folder / name for name in FILES]


def _found(stylizer: Stylizer, crop: Tensor, way: Way) -> Codes:
    return stylizer.invert_crops(crop, inverter=way.inverter, refine_steps=way.refine_steps)


@torch.no_grad()
def _perceptual(instruments: MetricNetworks, images: Tensor, goal: Tensor) -> Tensor:
    pairs = zip(torch.split(images, 1), torch.split(goal, 1), strict=True)
    return torch.cat([perceptual_distance(instruments.looks, *pair).cpu() for pair in pairs])


def _sheet(names: Sequence[str], goal: Tensor, drawn: Mapping[str, Tensor], found: Mapping[str, Any]) -> Tensor:
    """Photos below each other, beside each what every way makes of it, with the identity cosine."""
    count = min(_SHOWN, len(goal))
    rows = [[goal[i], *(images[i] for images in drawn.values())] for i in range(count)]
    captions = [[None, *(f"{found[name]['each']['identity'][i]:.2f}" for name in drawn)] for i in range(count)]
    return sheet(rows, size=128, row_labels=names[:count], column_labels=["photo", *drawn], captions=captions)
