"""What the parts of the method are worth: for each question a table and a sheet, on references x photos.

python tools/ablation.py losses masks -o ablation --references IMAGE... --photos PHOTO... [--quick]

References and photos are files or folders. Without a question, all are asked. A run that was stopped goes on where it was:
every style that is learned, drawn and measured is kept in OUT/work under its very settings. Tables and sheets are made anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.feature_network import has_feature_network
from mien.checkpoint.native import digest
from mien.cli.paths import photos_in
from mien.errors import MienError
from mien.evaluation.evaluate import open_instruments
from mien.evaluation.measures import Candidate, measure
from mien.evaluation.model_report.report_text import markdown_table
from mien.evaluation.model_report.workspace import Workspace, pixels_digest
from mien.evaluation.outputs import SIDE, read_faces, read_references
from mien.faces.config import AlignConfig
from mien.files import file_digest, write_whole
from mien.inversion.config import METHODS, InvertConfig
from mien.latents import USUAL_FIDELITY, Codes
from mien.losses.extractors import DISCRIMINATOR, discriminator_extractor
from mien.media.contact_sheet import sheet
from mien.media.eight_bit import to_uint8
from mien.media.images import from_tensor, write_image
from mien.metrics.perceptual import as_images, style_distance
from mien.metrics.spaces import MetricNetworks
from mien.oneshot.config import OneShotConfig
from mien.oneshot.layer_masks import PRESETS as MASKS
from mien.oneshot.layer_masks import usual_start
from mien.oneshot.presets import preset_values
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.runtime import pick_device, set_threads

Options = dict[str, Any]
USUAL: Options = {
    "reference_inverter": "encoder", "inverter": "encoder", "likeness": USUAL_FIDELITY, "refine": RenderConfig().refine_steps,
}  # fmt: skip
TOGETHER = "together"
QUESTIONS = ("losses", "spaces", "masks", "inverters", "presets", "steps", "color", "several", "family")

_WAY = 2  # of inverting and drawing: cells that are kept of another one are not taken
_STEPS, _QUICK = 300, {"references": 2, "photos": 6, "steps": 60}
_ROWS, _CELL = 12, 128
_COLUMNS = {
    "style_distance": ("style distance ↓", ".3f"), "style_distance_d": ("... in the discriminator ↓", ".3f"),
    "identity": ("identity kept ↑", ".3f"), "recognized": ("rank-1 retrieval accuracy ↑", ".0%"),
    "people_apart": ("identity diversity ↑", ".0%"),
    "looks_apart": ("feature diversity ↑", ".0%"), "like_reference": ("like the reference's face ↓", ".3f"),
    "learning": ("seconds to learn", ".1f"), "drawing": ("seconds a photo", ".2f"),
}  # fmt: skip


def variants_of(question: str, resolution: int) -> dict[str, Options]:
    """{variant: options that differ from the usual ones} for a model of `resolution` px."""
    usual_mask = f"{usual_start(resolution)}px.."
    every: dict[str, dict[str, Options]] = {
        "losses": {
            "discriminator": {}, "pixels": {"loss": "pixels"}, "identity network": {"loss": "identity"},
            "EfficientNet-Lite1": {"loss": "efficientnet-lite1"},
        },
        "spaces": {"S, mask m1": {"random_layers": "m1"}, "W+, mask m1": {"space": "w_plus"}},
        "masks": {f"usual: {usual_mask}": {}, **{name: {"random_layers": name} for name in MASKS}},
        "inverters": {name: {"reference_inverter": name} for name in METHODS},
        "presets": {"mien": {}, "paper": preset_values("paper")},
        "steps": {"auto": {"steps": "auto"}, **{str(count): {"steps": count} for count in (200, 300, 500)}},
        # Figure 17 of the paper.
        "color": {
            "neither": {}, "mask alone": {"random_layers": "m2"},
            "gray loss alone": {"color": "photo", "random_layers": usual_mask}, "both: --color photo": {"color": "photo"},
        },
        # Figure 12 of the paper.
        "several": {"one reference": {}, "all references": {TOGETHER: True}},
        # What is not in the paper: random codes as the encoder says them, feature codes, mirror images.
        "family": {
            "usual": {}, "mapped codes": {"mixing_latents": "mapping"}, "no feature codes": {"feature_code": 0.0},
            "no mirror images": {"mirror": False},
            "as published": {"mixing_latents": "mapping", "feature_code": 0.0, "mirror": False},
        },
    }  # fmt: skip
    return every[question]


@dataclass
class Bench:
    """What all cells share."""

    stylizer: Stylizer
    instruments: MetricNetworks
    references: list[Path]
    photos: list[Path]
    workspace: Workspace
    steps: int
    aligned: bool
    references_aligned: bool

    @cached_property
    def crops(self) -> tuple[list[str], Tensor, Tensor]:
        """Names of the photos that can be used, and their faces at the side of the instruments and at the model's."""
        faces, failed = read_faces(self.photos, (SIDE, self.stylizer.resolution), aligned=self.aligned)
        for name, why in failed.items():
            print(f"{name}: {why}", flush=True)
        crops = (torch.stack([face.crops[size] for face in faces]) for size in (SIDE, self.stylizer.resolution))
        return [face.path.stem for face in faces], *crops  # type: ignore[return-value]

    @cached_property
    def model(self) -> dict[str, str]:
        """Which model, and which encoder."""
        encoder = self.stylizer.model.encoder
        return {"model": self.stylizer.digest, "encoder": "" if encoder is None else digest(encoder.state_dict())}

    def seen(self, references: Sequence[Path]) -> Tensor:
        """Reference images as they are compared, [N, 3, SIDE, SIDE]."""
        return read_references(references, aligned=self.references_aligned)

    def codes(self, options: Options) -> tuple[Codes, float]:
        """Of all photos, and the seconds for one."""
        chosen = {name: options[name] for name in ("inverter", "likeness", "refine")}
        _, _, crops = self.crops

        def make() -> dict[str, Tensor]:
            start = time.perf_counter()
            inverter = InvertConfig(options["inverter"])
            given = {"refine_steps": options["refine"], "fidelity": options["likeness"]}
            made = [self.stylizer.invert_crops(crop, inverter=inverter, **given) for crop in torch.split(crops, 1)]
            found = {"w_plus": torch.cat([one.w_plus for one in made])}
            if made[0].feature_code is not None:
                found["detail"] = torch.cat([one.feature_code for one in made if one.feature_code is not None])
            return found | {"seconds": torch.tensor((time.perf_counter() - start) / len(crops))}

        settings = {**self.model, "photos": pixels_digest(crops), "way": _WAY, **chosen}
        kept = self.workspace.kept("codes", settings, make)
        return Codes(kept["w_plus"], kept.get("detail")), float(kept["seconds"])

    def cell(self, references: Sequence[Path], options: Options, judged_by: Sequence[Path]) -> dict[str, Tensor]:
        """One style on all photos: `images` (uint8), and a number for every photo and measure.

        `judged_by` are the references that the images are compared with.
        """
        names, photos, _ = self.crops
        settings = {
            **self.model, "photos": pixels_digest(photos), "references": [file_digest(r) for r in references],
            "judged by": [file_digest(r) for r in judged_by], "aligned": self.references_aligned, "steps": self.steps,
            "judges": [(j.name, j.weights) for j in (self.instruments.looks, self.instruments.identity)], "way": _WAY,
            **{name: value for name, value in asdict(OneShotConfig()).items() if name != "steps"}, **options,
        }  # fmt: skip

        def make() -> dict[str, Tensor]:
            wanted, (codes, inverting) = self.seen(judged_by), self.codes(options)
            start = time.perf_counter()
            style = self.stylizer.fit(
                references, self._fit_config(options), align=AlignConfig(aligned=True) if self.references_aligned else None,
            )  # fmt: skip
            learned = time.perf_counter()
            images = torch.cat([self.stylizer.draw(style, code) for code in codes.single()])
            drawing = inverting + (time.perf_counter() - learned) / len(images)
            found = measure(names, photos, [Candidate("it", range(len(names)), images, wanted)], self.instruments)
            each = found.numbers["methods"]["it"]["each"]
            measured = {key: torch.tensor([each[name][key] for name in names]) for key in each[names[0]] if key in _COLUMNS}
            own = self.stylizer.model.discriminator
            if own is not None and self.instruments.looks.name != DISCRIMINATOR:
                measured["style_distance_d"] = style_distance(discriminator_extractor(own), images, wanted)
            times = {"learning": torch.tensor([learned - start]), "drawing": torch.tensor([drawing])}
            return {"images": to_uint8(images), **measured, **times}

        return self.workspace.kept("cell", settings, make)

    def _fit_config(self, options: Options) -> OneShotConfig:
        known = {field.name for field in fields(OneShotConfig)}
        return OneShotConfig(**{"steps": self.steps, **{name: value for name, value in options.items() if name in known}})


def ask(bench: Bench, question: str, out: Path) -> None:
    """All variants of one question on all references: OUT/question.md, .json and .png."""
    variants, cells = variants_of(question, bench.stylizer.resolution), {}
    if question == "losses" and not has_feature_network():
        variants = {name: options for name, options in variants.items() if options.get("loss") != "efficientnet-lite1"}
        print("losses: EfficientNet-Lite1 is left out, since mien[measure] is not installed.", flush=True)
    for name, options in variants.items():
        groups = [bench.references] if options.get(TOGETHER) else [[reference] for reference in bench.references]
        for group in groups:
            start, title = time.perf_counter(), f"{question}, {name}, {' + '.join(r.stem for r in group)}"
            try:
                cells[name, tuple(group)] = bench.cell(
                    group, USUAL | options, bench.references if question == "several" else group
                )
                print(f"{title}: {time.perf_counter() - start:.0f} s", flush=True)
            except MienError as error:
                print(f"{title}: {error}", flush=True)
    if not cells:
        return
    found = {name: _summary([cell for (of, _), cell in cells.items() if of == name]) for name in variants}
    numbers = {
        "question": question, "variants": found, "steps": bench.steps, "references": [r.stem for r in bench.references],
        "photos": bench.crops[0], "looks": bench.instruments.looks.name, "identity": bench.instruments.identity.name,
        "options": variants, "usual": USUAL,
    }  # fmt: skip
    write_whole(out / f"{question}.json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
    write_whole(out / f"{question}.md", _page(numbers))
    drawn = (_several_sheet if question == "several" else _sheet)(bench, list(variants), cells)
    write_image(out / f"{question}.png", from_tensor(drawn), overwrite=True)


def _summary(cells: Sequence[Mapping[str, Tensor]]) -> dict[str, Any]:
    """Mean over photos, then mean and spread over references."""
    found: dict[str, Any] = {"references": len(cells)}
    for key in _COLUMNS:
        means = torch.stack([cell[key].double().mean() for cell in cells if key in cell] or [torch.tensor(torch.nan)])
        if not bool(means.isnan().any()):
            found[key] = {"mean": float(means.mean()), "spread": float(means.std(correction=0))}
    return found


def _cell(value: Mapping[str, float] | None, form: str) -> str:
    return "" if value is None else f"{value['mean']:{form}} ± {value['spread']:{form}}"


def _page(numbers: Mapping[str, Any]) -> str:
    shown = [key for key in _COLUMNS if any(key in of for of in numbers["variants"].values())]
    rows = []
    for name, of in numbers["variants"].items():
        texts = [_cell(of.get(key), _COLUMNS[key][1]) for key in shown]
        rows.append([name, str(of["references"]), *texts])
    steps = "steps as named" if numbers["question"] == "steps" else f"{numbers['steps']} steps"
    words = (
        f"{len(numbers['references'])} references, {len(numbers['photos'])} photos, {steps}; means over the "
        f"photos, then mean ± deviation over references. Looks by {numbers['looks']}, people by {numbers['identity']}: who "
        "also is the loss is flattered as a judge. The measures are those of `mien evaluate`."
    )
    head = ["", "styles", *(_COLUMNS[key][0] for key in shown)]
    return f"# Ablation: {numbers['question']}\n\n{words}\n\n{markdown_table(head, rows)}\n"


Cells = Mapping[tuple[str, tuple[Path, ...]], Mapping[str, Tensor]]


def _image(cells: Cells, name: str, group: Sequence[Path], photo: int) -> Tensor | None:
    cell = cells.get((name, tuple(group)))
    return None if cell is None else as_images(cell["images"][photo])


def _sheet(bench: Bench, names: Sequence[str], cells: Cells) -> Tensor:
    """A row for every reference and photo: reference, photo, and what each variant makes of it."""
    _, photos, _ = bench.crops
    each = max(1, min(len(photos), _ROWS // len(bench.references)))
    rows: list[list[Tensor | None]] = []
    for reference in bench.references[:_ROWS]:
        if any((reference,) == group for _, group in cells):
            seen = bench.seen([reference])[0]
            rows += [[seen, photos[i], *(_image(cells, name, [reference], i) for name in names)] for i in range(each)]
    return sheet(rows, size=_CELL, column_labels=["reference", "photo", *names])


def _several_sheet(bench: Bench, names: Sequence[str], cells: Cells) -> Tensor:
    """The references on top, each photo in the style of every one, and of all together."""
    (alone, together), (_, photos, _) = names, bench.crops
    groups = [group for group in cells if group[0] in (alone, together)]
    rows: list[list[Tensor | None]] = [[None, *(bench.seen(group)[0] if name == alone else None for name, group in groups)]]
    rows += [[photos[i], *(_image(cells, name, group, i) for name, group in groups)] for i in range(min(_ROWS, len(photos)))]
    heads = ["photo", *(group[0].stem if name == alone else together for name, group in groups)]
    return sheet(rows, size=_CELL, column_labels=heads)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--references", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--aligned", action="store_true", help="the photos are face crops already")
    parser.add_argument("--references-aligned", action="store_true", help="the references are face crops already")
    parser.add_argument("--quick", action="store_true", help="two references, six photos, 60 steps")
    parser.add_argument("--steps", type=int, default=None, help="of fine-tuning; without it 300, or 60 if quick")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument(
        "--features", default="auto", choices=["auto", "efficientnet-lite1", "discriminator"], help="measures looks"
    )
    parser.add_argument("--identity", type=Path, default=None, help="MobileFaceNet or ArcFace: judge of people")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args(arguments)
    unknown = [question for question in given.questions if question not in QUESTIONS]
    if unknown:
        parser.error(f"there is no question '{unknown[0]}': choose of {', '.join(QUESTIONS)}")
    set_threads(given.threads)
    try:
        references, photos = photos_in(given.references), photos_in(given.photos)
        most = _QUICK if given.quick else {}
        device = pick_device(given.device)
        bench = Bench(
            Stylizer.load(given.model, device=str(device)), open_instruments(given.features, given.identity, device),
            references[: most.get("references")], photos[: most.get("photos")], Workspace(given.out / "work"),
            given.steps if given.steps is not None else most.get("steps", _STEPS),
            given.aligned, given.references_aligned,
        )  # fmt: skip
        for question in given.questions or QUESTIONS:
            ask(bench, question, given.out)
            print(given.out / f"{question}.md", flush=True)
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
