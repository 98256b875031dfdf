"""Make the gallery: a page per control with images, made by running the very commands that the page shows.

    python tools/make_gallery.py [NAME ...]

Writes docs/gallery/ and docs/images/gallery/. People and references are the examples that ship, made up by our own model.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from draw_styles import draw
from make_assets import EXAMPLES, IMAGES, ROOT
from PIL import Image
from torch import Tensor

from mien.cli.app import shell
from mien.media.contact_sheet import sheet
from mien.media.image_input import as_image
from mien.media.images import from_tensor, read_image, write_image
from mien.pipeline import Stylizer

PAGES = ROOT / "docs" / "gallery"
PEOPLE = ("face.png", "portrait.png")
SIDE = 176
MASKS = ("m1", "m2", "texture", "features", "all")


@dataclass(frozen=True)
class Control:
    """A page: what a control does, commands that come first, and one command with a caption per column of the image."""

    name: str
    title: str
    text: str
    columns: tuple[tuple[str, str], ...]
    """Caption, and the command that writes out.png."""
    first: tuple[str, ...] = ()
    manner: str = "toon"


def _apply(options: str = "", style: str = "style") -> str:
    return f"mien apply {style}.safetensors me.jpg --crop {options} -o out.png".replace("  ", " ")


_FIT = "mien fit reference.png -o style.safetensors"

CONTROLS = (
    Control(
        "strength", "Strength",
        "From the model's own face of the person (0) to the full style (1), and beyond. Nothing is learned again.",
        tuple((s, _apply(f"--strength {s}")) for s in ("0", "0.33", "0.67", "1", "1.4")), (_FIT,),
    ),
    Control(
        "bands", "Strength by size",
        "The style in the shape of the head (coarse), in the features (middle), or in line and color (fine) alone.",
        (
            ("all", _apply()),
            ("coarse", _apply("--strength 0,coarse=1")),
            ("middle", _apply("--strength 0,middle=1")),
            ("fine", _apply("--strength 0,fine=1")),
            ("all but coarse", _apply("--strength 1,coarse=0")),
        ),
        (_FIT,),
    ),
    Control(
        "fidelity", "Fidelity",
        "The weight of the feature code: higher preserves identity, lower follows the style.",
        tuple((s, _apply(f"--fidelity {s}")) for s in ("0", "0.35", "0.7", "1")), (_FIT,),
    ),
    Control(
        "refine", "Refinement",
        "Optimization steps after the encoder: closer to the person, a few seconds slower.",
        tuple((s, _apply(f"--refine {s}")) for s in ("0", "20", "40", "100")), (_FIT,),
    ),
    Control(
        "color", "Color",
        "The reference's, or the photo's: then the color layers are random and the loss compares gray images.",
        (("reference", _apply()), ("photo", _apply(style="own"))),
        (_FIT, "mien fit reference.png --color photo -o own.safetensors"), "comic",
    ),
    Control(
        "masks", "Masks",
        "Layers that are random while the style is learned are left to the person; the rest is taken from the reference.",
        tuple((m, _apply(style=m)) for m in MASKS),
        tuple(f"mien fit reference.png --random-layers {m} -o {m}.safetensors" for m in MASKS),
        "ink",
    ),
    Control(
        "parts", "Parts of the face",
        "On a finished style: parts that keep the person's shape, or take the reference's.",
        (
            ("style", _apply()),
            ("keep eyes", _apply("--keep eyes")),
            ("keep mouth", _apply("--keep mouth")),
            ("exaggerate eyes", _apply("--exaggerate eyes")),
            ("exaggerate jaw", _apply("--exaggerate jaw")),
        ),
        (_FIT,),
    ),
    Control(
        "identity", "Identity loss",
        "A loss that preserves identity while the style is learned; too much of it weakens the style.",
        tuple((w, _apply(style=f"weight-{w}")) for w in ("0", "0.01", "0.1")),
        tuple(f"mien fit reference.png --identity-weight {w} -o weight-{w}.safetensors" for w in ("0", "0.01", "0.1")),
    ),
    Control(
        "references", "Several references",
        "Each reference alone, and both together: what they share is learned, what only one has is averaged out.",
        (("first alone", _apply(style="one")), ("second alone", _apply(style="two")), ("both", _apply(style="both"))),
        (
            "mien fit reference.png -o one.safetensors",
            "mien fit another.png -o two.safetensors",
            "mien fit reference.png another.png --batch 2 -o both.safetensors",
        ),
        "poster",
    ),
)  # fmt: skip


def main() -> None:
    """Make all pages, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these pages")
    names = parser.parse_args().names
    for control in CONTROLS:
        if not names or control.name in names:
            _save(_image(control), IMAGES / "gallery" / f"{control.name}.webp")
            print(control.name, flush=True)
    for name, text in pages().items():
        PAGES.mkdir(exist_ok=True)
        (PAGES / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The pages, by file name, and the one that leads to them."""
    links = "\n".join(f"- [{control.title}]({control.name}.md): {control.text}" for control in CONTROLS)
    told = "One page per control. Faces and references are synthetic, from our own model; the commands are those that were run."
    index = {"index.md": f"# Gallery\n\n{told}\n\n{links}\n"}
    return index | {f"{control.name}.md": _page(control) for control in CONTROLS}


def _page(control: Control) -> str:
    shown = ", ".join(caption for caption, _ in control.columns)
    lines = [line.replace("out.png", f"{control.name}-{caption.replace(' ', '-')}.png") for caption, line in control.columns]
    return "\n\n".join(
        (
            f"# {control.title}",
            control.text,
            f"![Photo, reference, {shown}](../images/gallery/{control.name}.webp)",
            "```bash\n" + "\n".join((*control.first, *lines)) + "\n```",
            "[All controls](../styles.md), [all pages](index.md)\n",
        )
    )


def _image(control: Control) -> Tensor:
    rows: list[list[Tensor]] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_image(Path("reference.png"), read_image(EXAMPLES / f"{control.manner}.png"))
        other = as_image(Stylizer.load().sample(1, seed=3, psi=0.6)[0]).rgb()
        write_image(Path("another.png"), from_tensor(draw(other, control.manner, size=512)))
        for line in control.first:
            _run(f"{line} --aligned")
        for person in PEOPLE:
            write_image(Path("me.jpg"), read_image(EXAMPLES / person), overwrite=True)
            _run("mien align me.jpg -o crop.png --overwrite")
            row = [read_image(Path("crop.png")).rgb(), read_image(Path("reference.png")).rgb()]
            for _, line in control.columns:
                _run(f"{line} --overwrite")
                row.append(read_image(Path("out.png")).rgb())
            rows.append(row)
    return sheet(rows, size=SIDE, column_labels=["photo", "reference", *(word for word, _ in control.columns)])


def _run(line: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        code = shell(shlex.split(line)[1:])
    if code:
        raise SystemExit(f"`{line}` ended with {code} in {os.getcwd()}")


def _save(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image.add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, quality=88, method=6)


if __name__ == "__main__":
    main()
