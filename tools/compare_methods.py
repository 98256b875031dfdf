"""The product's default beside the published loop, on the same weights: a sheet for each reference, a table, and a blind study.

python tools/compare_methods.py -o OUT --references IMAGE... --photos PHOTO... [--steps 200]

References and photos are files or folders. OUT/table.md has the means over all photos and references; OUT/REFERENCE.png shows
both methods; OUT/study is for people who do not know which side is whose: `mien blind --score OUT/study` counts their votes.
Identity should be measured by a network that was nowhere a loss: --identity takes a MobileFaceNet. All images of people are
private: think before you publish a sheet.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.cli.paths import photos_in
from mien.errors import MienError
from mien.evaluation.config import BlindConfig
from mien.evaluation.evaluate import open_instruments
from mien.evaluation.measures import Candidate, Evaluation, measure
from mien.evaluation.model_report.report_text import markdown_table
from mien.evaluation.outputs import SIDE, PhotoFace, read_faces, read_references
from mien.evaluation.preference_study import lay_out_study
from mien.faces.config import AlignConfig
from mien.files import write_whole
from mien.media.images import from_tensor, write_image
from mien.metrics.spaces import MetricNetworks
from mien.oneshot.config import OneShotConfig
from mien.oneshot.presets import PRESETS
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import set_threads

_COLUMNS = {
    "style_distance": ("style distance ↓", ".3f"), "identity": ("identity ↑", ".2f"),
    "recognized": ("rank-1 retrieval accuracy ↑", ".0%"), "people_apart": ("identity diversity ↑", ".0%"),
    "looks_apart": ("feature diversity ↑", ".0%"), "gaze": ("gaze moved ↓", ".3f"), "mouth": ("mouth moved ↓", ".3f"),
    "seconds": ("seconds a photo ↓", ".2f"),
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """How a style is learned, and how it is put on photos."""

    one_shot: OneShotConfig
    render: RenderConfig


def methods(steps: int | None) -> dict[str, Method]:
    """The product's default and the published loop; `steps` for both, None: what each takes by itself."""
    found = {
        "mien": Method(OneShotConfig(), RenderConfig()),
        "published": Method(OneShotConfig.preset("published"), RenderConfig(**PRESETS["published"].render)),
    }
    if steps is None:
        return found
    return {name: replace(method, one_shot=replace(method.one_shot, steps=steps)) for name, method in found.items()}


@dataclass
class Bench:
    """What all comparisons share."""

    stylizer: Stylizer
    instruments: MetricNetworks
    faces: Sequence[PhotoFace]
    methods: Mapping[str, Method]
    references_aligned: bool

    def drawn(self, reference: Path, wanted: Tensor) -> tuple[list[Candidate], dict[str, float]]:
        """What each method makes of all faces, and the seconds that it learned."""
        made, learning = [], {}
        align = AlignConfig(aligned=True) if self.references_aligned else None
        for name, method in self.methods.items():
            start = time.perf_counter()
            style = self.stylizer.fit([reference], method.one_shot, align=align)
            learning[name] = time.perf_counter() - start
            fidelity = style.fidelity if method.render.fidelity is None else method.render.fidelity
            images, seconds = [], []
            for face in self.faces:
                start = time.perf_counter()
                codes = self.stylizer.invert_crops(
                    face.crops[self.stylizer.resolution][None], inverter=method.render.inversion,
                    refine_steps=method.render.refine_steps, fidelity=fidelity,
                )  # fmt: skip
                images.append(self.stylizer.draw(style, codes, method.render.strength).clamp(-1, 1))
                seconds.append(time.perf_counter() - start)
            made.append(Candidate(name, range(len(self.faces)), torch.cat(images), wanted, seconds))
        return made, learning


def compare(bench: Bench, references: Sequence[Path], out: Path, *, overwrite: bool) -> dict[str, Any]:
    """Learn, draw and measure everything, write it to `out`, and return the numbers."""
    names = [face.path.stem for face in bench.faces]
    photos = torch.stack([face.crops[SIDE] for face in bench.faces])
    every: list[tuple[Evaluation, dict[str, float]]] = []
    shown: dict[str, Path] = {}
    for reference in references:
        wanted = read_references([reference], aligned=bench.references_aligned)
        made, learning = bench.drawn(reference, wanted)
        found = measure(names, photos, made, bench.instruments)
        every.append((found, learning))
        write_image(out / f"{reference.stem}.png", from_tensor(found.sheet), overwrite=overwrite)
        for i, name in enumerate(names):
            pair = f"{reference.stem}--{name}"
            shown[pair] = reference
            for folder, image in (("photos", photos[i]), *((c.name, c.images[i]) for c in made)):
                write_image(out / "crops" / folder / f"{pair}.png", from_tensor(image), overwrite=overwrite)
        print(f"{reference.stem}: learned in " + ", ".join(f"{n} {s:.0f} s" for n, s in learning.items()), flush=True)
    crops = sorted((out / "crops" / "photos").glob("*.png"))
    lay_out_study(
        {name: out / "crops" / name for name in bench.methods}, [path for path in crops if path.stem in shown], out / "study",
        BlindConfig(aligned=True, reference_aligned=bench.references_aligned, outputs_are="crops"), reference=shown,
        overwrite=overwrite,
    )  # fmt: skip
    numbers = _summary(bench, references, every)
    write_whole(out / "table.json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
    write_whole(out / "table.md", _page(numbers))
    return numbers


def _summary(bench: Bench, references: Sequence[Path], every: Sequence[tuple[Evaluation, dict[str, float]]]) -> dict[str, Any]:
    """Means over the photos, then over the references."""
    found: dict[str, Any] = {}
    for name in bench.methods:
        rows = [evaluation.numbers["methods"][name] for evaluation, _ in every]
        found[name] = {key: sum(row[key]["mean"] for row in rows) / len(rows) for key in _COLUMNS if key in rows[0]}
        found[name]["learning"] = sum(learning[name] for _, learning in every) / len(every)
    return {
        "methods": found, "references": [r.stem for r in references], "photos": [f.path.stem for f in bench.faces],
        "features": bench.instruments.looks.name, "identity": bench.instruments.identity.name,
        "each": {r.stem: evaluation.numbers["methods"] for r, (evaluation, _) in zip(references, every, strict=True)},
    }  # fmt: skip


def _page(numbers: Mapping[str, Any]) -> str:
    shown = [key for key in _COLUMNS if all(key in of for of in numbers["methods"].values())]
    rows = [
        [name, *(f"{of[key]:{_COLUMNS[key][1]}}" for key in shown), f"{of['learning']:.0f}"]
        for name, of in numbers["methods"].items()
    ]
    head = ["", *(_COLUMNS[key][0] for key in shown), "seconds of learning ↓"]
    words = (
        f"{len(numbers['references'])} references, {len(numbers['photos'])} photos: means over the photos, then over the "
        f"references. Style by {numbers['features']}, identity by {numbers['identity']}; seconds are of this machine, with "
        "whatever else it was doing."
    )
    return f"# Compared with the published loop\n\n{words}\n\n{markdown_table(head, rows)}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--references", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--aligned", action="store_true", help="the photos are face crops already")
    parser.add_argument("--references-aligned", action="store_true", help="the references are face crops already")
    parser.add_argument("--steps", type=int, help="of learning, for both; without it what each takes by itself")
    parser.add_argument("--model", type=Path, help="the model's file; without it the embedded one")
    parser.add_argument("--features", default="auto", choices=["auto", "efficientnet-lite1", "discriminator"])
    parser.add_argument("--identity", type=Path, help="MobileFaceNet or ArcFace, to tell people apart")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args(arguments)
    set_threads(given.threads)
    try:
        stylizer = Stylizer.load(given.model)
        faces, failed = read_faces(photos_in(given.photos), (SIDE, stylizer.resolution), aligned=given.aligned)
        for why in failed.values():
            print(why, flush=True)
        instruments = open_instruments(given.features, given.identity)
        bench = Bench(stylizer, instruments, faces, methods(given.steps), given.references_aligned)
        print(_page(compare(bench, photos_in(given.references), given.out, overwrite=given.overwrite)))
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
