"""A report on paper: `numbers.json`, `numbers.md` (tables for a model card) and one PNG per sheet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.evaluation.model_report.report import ModelReport
from mien.files import write_whole
from mien.media.images import from_tensor, write_image

NUMBERS, TABLES = "numbers.json", "numbers.md"
SHOWS_DATA = ("nearest", "nearest-most-alike", "inversion", "inversion-worst")
"""Sheets that show images of the data sets, which may not be yours to publish."""


def write_report(report: ModelReport, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a report to `folder` and return its files. Raises `InputError` where one is there already, unless `overwrite`."""
    texts = {
        NUMBERS: json.dumps(report.numbers, indent=2, ensure_ascii=False) + "\n",
        TABLES: tables(report.numbers),
    }
    check_free(folder, [*texts, *(f"{name}.png" for name in report.sheets)], overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        write_image(folder / f"{name}.png", from_tensor(image), overwrite=overwrite) for name, image in report.sheets.items()
    ]
    # The numbers come last: where they are, the report is complete.
    for name, text in reversed(texts.items()):
        write_whole(folder / name, text)
        written.append(folder / name)
    return written


def check_free(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Raise `InputError` when `folder` is a file, or holds one of `names` and `overwrite` is not set."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a report is a folder: give another `out`.")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(f"{folder} holds {there[0]} already: give another `out`, or `overwrite` to replace the report.")


def tables(numbers: Mapping[str, Any]) -> str:
    """The numbers as Markdown."""
    parts = [_model(numbers), *_distribution(numbers), *_people(numbers), *_inversion(numbers), *_curve(numbers)]
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; every row is as long as the head."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _model(numbers: Mapping[str, Any]) -> str:
    model = numbers["model"]
    sizes = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in model["parameters"].items())
    facts = [f"{model['resolution']} px", f"parameters: {sizes}"]
    if model["images_seen"]:
        facts.append(f"{model['images_seen']:,} training images seen")
    return f"Measured: {model['name']} (generator {model['digests']['generator']}), {', '.join(facts)}."


def _distribution(numbers: Mapping[str, Any]) -> Iterator[str]:
    found = numbers.get("distribution")
    if found and found["samples_vs_half_a"]:
        rows = [
            [what, _number(found[key]["fd"], 2), _number(1000 * found[key]["kd"], 2)]
            for what, key in (
                ("samples, psi 1", "samples_vs_half_a"),
                ("half B of the training set (floor)", "half_b_vs_half_a"),
            )
        ]
        text = f"Distance to half A of the training set, {found['count']} images each, {numbers['features']} features:"
        yield f"{text}\n\n{markdown_table(['', *_distances(numbers)], rows)}"
    sweep = numbers.get("truncation", [])
    if sweep:
        rows = []
        for entry in sweep:
            kernel = entry.get("kd")
            rows.append(
                [
                    f"{entry['psi']:g}",
                    _number(entry.get("fd"), 2),
                    _number(None if kernel is None else 1000 * kernel, 2),
                    _number(entry["identity"].get("mean")),
                    _number(entry["identity"].get("nearest_mean")),
                ]
            )
        head = ["psi", *_distances(numbers), "identity cosine, mean of pairs", "of nearest pairs"]
        yield f"Truncation:\n\n{markdown_table(head, rows)}"


def _distances(numbers: Mapping[str, Any]) -> list[str]:
    return [f"FD-{numbers['features']}", f"KD-{numbers['features']} x 1000"]


def _people(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Different people, and no copies."""
    real, sweep = numbers.get("diversity"), numbers.get("truncation", [])
    if not real:
        return
    named = [("training set, half A", real["training_half_a"]), ("training set, half B", real["training_half_b"])]
    named += [(f"samples, psi {entry['psi']:g}", entry["identity"]) for entry in sweep if entry["psi"] in (0.7, 1.0)]
    rows = [
        [what, *(_number(of[key]) for key in ("mean", "std", "percentile_99", "largest", "nearest_mean"))] for what, of in named
    ]
    head = ["identity cosine between", "mean", "deviation", "99th percentile", "largest", "mean of nearest"]
    yield f"Different people (MobileFaceNet):\n\n{markdown_table(head, rows)}"
    names = {"half_b": "half B", "samples_psi_0.7": "samples, psi 0.7", "samples_psi_1": "samples, psi 1"}
    near = numbers["nearest"]
    rows = [[what, *(_number(near[f"{key}_to_half_a"][of]) for of in ("mean", "largest"))] for key, what in names.items()]
    head = ["identity cosine to the nearest face of half A", "mean", "largest"]
    yield f"Copies (MobileFaceNet):\n\n{markdown_table(head, rows)}"


def _inversion(numbers: Mapping[str, Any]) -> Iterator[str]:
    found = numbers.get("inversion")
    if not found:
        return
    named = {
        found["start_from"]: found.get("start"),
        f"and {found['refine_steps']} steps of refinement": found.get("refined"),
        "the photo at 32 px and back": found["yardsticks"].get("reduced_to_32px"),
        "another person's photo": found["yardsticks"].get("another_person"),
    }
    rows = [
        [
            name,
            _number(of.get("identity")),
            _number(of.get("identity_median")),
            _number(of.get("identity_min")),
            _number(of["l1"]),
            _number(of.get("perceptual")),
            _number(of.get("seconds_alone"), 2),
        ]
        for name, of in named.items()
        if of
    ]
    head = [
        "",
        "identity cosine",
        "median",
        "lowest",
        "L1 in [-1, 1]",
        f"perceptual ({numbers['features']})",
        "seconds for one photo",
    ]
    yield f"Inversion of {found['count']} held-out photos:\n\n{markdown_table(head, rows)}"


def _curve(numbers: Mapping[str, Any]) -> Iterator[str]:
    found = numbers.get("curve")
    if not found:
        return
    rows = [
        [
            "" if point["hours"] is None else f"{point['hours']:.1f}",
            f"{point['images_seen']:,}",
            f"{point['resolution']} px",
            _number(point["fd"], 2),
            _number(point["floor"], 2),
        ]
        for point in found["points"]
    ]
    head = ["hours", "training images shown", "resolution", f"FD-{found['features']}", "floor"]
    yield f"Quality against training time ({found['points'][0]['count']} samples):\n\n{markdown_table(head, rows)}"
