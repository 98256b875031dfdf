"""Make what ships beside the code from the embedded model alone: example images, ready styles, images of the docs.

    python tools/make_assets.py [--steps 300 | --hero]

Writes examples/, src/mien/data/styles/ and docs/images/. Every face is made up by our own model, every style image computed
from such a face (tools/draw_styles.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from draw_styles import MANNERS, draw
from PIL import Image
from torch import Tensor

from mien.faces import AlignConfig
from mien.faces.head_mask import head_mask
from mien.media.contact_sheet import sheet
from mien.media.image_input import as_image
from mien.media.images import from_tensor, read_image, write_image
from mien.pipeline import OneShotConfig, Stylizer
from mien.shipped import DATA

ROOT = Path(__file__).parent.parent
EXAMPLES, IMAGES, STYLES = ROOT / "examples", ROOT / "docs" / "images", DATA / "styles"


def enlarged(face: Tensor, size: int) -> Tensor:
    """[3, R, R] -> [3, size, size]."""
    return F.interpolate(face[None], (size, size), mode="bicubic", align_corners=False)[0].clamp(-1, 1)


def photo_of(face: Tensor) -> Tensor:
    """A made-up photo [3, 480, 640]: the head in front of a soft wall."""
    size, height, width = 384, 480, 640
    big = enlarged(face, size)
    edge = torch.linspace(0, 1, size)
    ramp = (torch.minimum(edge, 1 - edge) * 8).clamp(0, 1)
    side = ramp[None, :].expand(size, size)
    mask = side * (edge * 8).clamp(0, 1)[:, None] * head_mask(big)[0]
    wall = torch.stack([big[k, :40].mean() * torch.ones(height, width) for k in range(3)])
    wall = wall + torch.linspace(0.12, -0.12, width)
    top, left = height - size, (width - size) // 2
    wall[:, top:, left : left + size] = torch.lerp(wall[:, top:, left : left + size], big, mask)
    return wall.clamp(-1, 1)


# Of the first 48 samples of seed 7 at psi 0.6, chosen by eye: whole heads with clear eyes and hair.
PEOPLE, SITTERS = (23, 47), (6, 39, 27, 13)
SHOWN = (26, 10, 16)  # of those of seed 11


def hero(stylizer: Stylizer) -> None:
    """The first image of the README: people whom nobody has seen before in the ready styles."""
    photos = [stylizer.sample(48, seed=11, psi=0.6)[who].resize((512, 512), Image.Resampling.LANCZOS) for who in SHOWN]
    drawings: list[Tensor | None] = [None, *(read_image(EXAMPLES / f"{manner}.png").rgb() for manner in MANNERS)]
    rows = [drawings]
    for photo in photos:
        face = stylizer.align(photo)
        rows.append([as_image(image).rgb() for image in (photo, *(stylizer(manner, face).image for manner in MANNERS))])
    image = sheet(rows, size=256, column_labels=["", *MANNERS], row_labels=None)
    write_image(IMAGES / "hero.png", from_tensor(image), overwrite=True)


def main() -> None:
    """Make everything anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--psi", type=float, default=0.6)
    parser.add_argument("--hero", action="store_true", help="only the first image of the README, from what is there")
    arguments = parser.parse_args()
    stylizer = Stylizer.load()
    if arguments.hero:
        return hero(stylizer)
    learner = Stylizer(stylizer.model, dtype="bfloat16")
    faces = torch.stack([as_image(image).rgb() for image in stylizer.sample(48, seed=7, psi=arguments.psi)])
    people, sitters = faces[list(PEOPLE)], faces[list(SITTERS)]
    write_image(EXAMPLES / "face.png", from_tensor(photo_of(people[0])), overwrite=True)
    write_image(EXAMPLES / "portrait.png", from_tensor(photo_of(people[1])), overwrite=True)

    for manner, sitter in zip(MANNERS, sitters, strict=True):
        drawing = draw(sitter, manner, size=512)
        path = EXAMPLES / f"{manner}.png"
        write_image(path, from_tensor(drawing), overwrite=True)
        align = AlignConfig(aligned=True)  # a drawing in the FFHQ frame by construction
        style = learner.fit([path], OneShotConfig(steps=arguments.steps), align=align, name=manner)
        style.settings["licence"] = "CC BY-NC-SA 4.0, as the model it was learned on"
        style.save(STYLES / f"{manner}.safetensors", overwrite=True)
        print(manner, style.settings["loss"], flush=True)
    hero(stylizer)
    samples = [as_image(image).rgb() for image in stylizer.sample(32, seed=1, psi=arguments.psi)]
    grid = sheet([list(samples[i : i + 8]) for i in range(0, 32, 8)], size=128, gap=0)
    write_image(IMAGES / "samples.png", from_tensor(grid), overwrite=True)


if __name__ == "__main__":
    main()
