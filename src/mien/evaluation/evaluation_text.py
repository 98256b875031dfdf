"""An evaluation as files: `evaluation.md` with the table and how to read it, `evaluation.json`, `sheet.png`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mien.evaluation.measures import SHEET_ROWS, Evaluation
from mien.evaluation.model_report.report_text import check_free, markdown_table
from mien.files import write_whole
from mien.media.images import from_tensor, write_image

FILES = ("evaluation.json", "evaluation.md", "sheet.png")


class _Column(NamedTuple):
    key: str
    """The measure's name in the JSON."""
    head: str
    form: str
    meaning: str
    beside: str = ""
    """Another measure whose mean stands in brackets."""


_COLUMNS = (
    _Column("style_distance", "style distance ↓", ".3f", "to the reference, by Gram matrices in {features}; 0: the same look"),
    _Column("style_taken", "style taken ↑", ".0%", "how much of the photo's distance to the reference is gone; 0 %: the photo"),
    _Column("identity", "identity kept ↑", ".2f", "cosine with the photo's own face in {identity}, both gray; 1: the same"),
    _Column("recognized", "rank-1 retrieval accuracy ↑", ".0%", "share whose own photo is the closest of all {count} photos"),
    _Column(
        "people_apart", "identity diversity ↑", ".0%",
        "mean distance between faces in {identity}, as a share of that between the photos; 0 %: all are one person",
    ),
    _Column("looks_apart", "feature diversity ↑", ".0%", "the same in {features}; 0 %: all are one image"),
    _Column(
        "like_reference", "like the reference's face ↓", ".2f",
        "cosine with the reference's face in {identity}; in brackets that of the photos themselves",
        "photo_like_reference",
    ),
    _Column(
        "gaze", "gaze moved ↓", ".3f",
        "how far the irises moved in the eyes, in eye distances; in brackets how far with the reference's gaze",
        "gaze_of_reference",
    ),
    _Column(
        "mouth", "mouth moved ↓", ".3f",
        "how much the mouth's width, opening and bend changed, in eye distances; in brackets with the reference's mouth",
        "mouth_of_reference",
    ),
    _Column("seconds", "seconds a photo ↓", ".2f", "finding, inverting and rendering the face, on this machine"),
)  # fmt: skip
"""What the table shows, and how it is to be read."""


def write_evaluation(found: Evaluation, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write an evaluation to `folder`, made if need be, and return its files.

    Raises `InputError` where one of them is there already, unless `overwrite`.
    """
    check_free(folder, FILES, overwrite=overwrite)
    write_image(folder / "sheet.png", from_tensor(found.sheet), overwrite=overwrite)
    write_whole(folder / "evaluation.md", page(found.numbers, found.notes))
    # The numbers come last: where they are, the evaluation is complete.
    write_whole(folder / "evaluation.json", json.dumps(found.numbers, indent=2, ensure_ascii=False) + "\n")
    return [folder / name for name in FILES]


def table(numbers: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table: one row for every method, only columns in which there is something."""
    methods = numbers["methods"]
    shown = [c for c in _COLUMNS if any(c.key in m for m in methods.values())]
    head = ["", "photos", *(c.head for c in shown)]
    if "set" in numbers:
        head += [f"FD-{numbers['features']} ↓", f"KD-{numbers['features']} x 1000 ↓"]
    rows = []
    for name, found in methods.items():
        row = [name, str(found["count"]), *(_cell(found, column) for column in shown)]
        rows.append(row + (_distances(found["set"]) if "set" in numbers else []))
    return head, rows


def _cell(found: Mapping[str, Any], column: _Column) -> str:
    if column.key not in found:
        return ""
    values = found[column.key]
    text = f"{values['mean']:{column.form}}"
    if column.key != "recognized":
        text += f" ± {values['spread']:{column.form}}"
    if column.beside in found:
        text += f" ({found[column.beside]['mean']:{column.form}})"
    return text


def _distances(found: Mapping[str, float] | None) -> list[str]:
    return ["", ""] if found is None else [f"{found['frechet']:.4g}", f"{1000 * found['kernel']:.4g}"]


def page(numbers: Mapping[str, Any], notes: list[str]) -> str:
    """The evaluation as a page of Markdown that explains itself."""
    count, (head, rows) = len(numbers["photos"]), table(numbers)
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    words = {"features": numbers["features"], "identity": numbers["identity"], "count": count}
    parts = [
        f"# Evaluation on {count} {'photo' if count == 1 else 'photos'}",
        f"Looks are compared by {_named(numbers, 'features')}, people by {_named(numbers, 'identity')}: figures by other "
        "networks do not compare. Mean ± standard deviation over the photos; ↑ more is better, ↓ less is better.",
        markdown_table(head, rows),
    ]
    told = [f"- **{c.head[:-2]}**: {c.meaning.format(**words)}." for c in _COLUMNS if c.head in head]
    if any(m.get("drawn_by") == "model" for m in numbers["methods"].values()):
        told.append("- The row **no style** is what the face model makes of the photos: what is lost before any style.")
    if "set" in numbers:
        told.append(
            "- **FD, KD**: Frechet and kernel distance between the images and the style's own set, as FID and KID are "
            "computed, in another space of features: they do not compare with published ones, nor with those of another space."
        )
    parts.append("\n".join(told))
    if "set" in numbers:
        parts.append(_set_table(numbers))
    parts.append(
        f"`sheet.png` shows the first {min(SHEET_ROWS, count)} photos; `evaluation.json` has the figures of every photo."
        + _drawn_with(numbers.get("settings"))
    )
    if notes:
        parts.append("\n".join(["## To be known", "", *(f"- {note}" for note in notes)]))
    return "\n\n".join(parts) + "\n"


def _named(numbers: Mapping[str, Any], judge: str) -> str:
    name = numbers[judge]
    weights = numbers["weights"][name]
    return f"{name} ({weights})" if weights else str(name)


def _drawn_with(settings: Mapping[str, Any] | None) -> str:
    if settings is None:
        return ""
    render = settings["render"]
    strength = render["strength"]
    bands = ", ".join(f"{b} {v:g}" for b, v in strength.items()) if isinstance(strength, Mapping) else f"{strength:g}"
    fidelity = "as suits each" if render["fidelity"] is None else f"{render['fidelity']:g}"
    return f" Styles were drawn with strength {bands}; fidelity {fidelity}; {render['refine_steps']} steps of refinement."


def _set_table(numbers: Mapping[str, Any]) -> str:
    rows = []
    for name, key in (("the photos, unchanged", "photos"), ("one half of the set to the other: the floor", "halves")):
        found = numbers["set"][key]
        rows.append([name, *_distances(found), "" if found is None else " and ".join(map(str, found["counts"]))])
    text = (
        f"The set has {numbers['set']['count']} images. Frechet distance comes out too large for few images, the "
        "more so the fewer they are: compare it at equal numbers only. Kernel distance is right on average, and wide."
    )
    return f"{text}\n\n{markdown_table(['for comparison', 'FD', 'KD x 1000', 'images'], rows)}"
