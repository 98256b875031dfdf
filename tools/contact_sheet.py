"""One sheet of many styles on many photos: photos down, references across.

python tools/contact_sheet.py -o sheet.png --photos PHOTO... --references IMAGE... [--steps 200] [--strength 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from mien.errors import MienError
from mien.faces.align import extract, whole_frame
from mien.faces.config import AlignConfig
from mien.faces.feature_strength import weigh_feature_code
from mien.latents import USUAL_FIDELITY
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, read_image, write_image
from mien.pipeline import OneShotConfig, Style, Stylizer


def main() -> None:
    """Learn every style (or load it), apply it to every photo, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--references", type=Path, nargs="+", required=True, help="images or style files")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--random-from", default=OneShotConfig.random_from)
    parser.add_argument("--color", default="reference")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--refine", type=int, default=0)
    parser.add_argument("--fidelity", type=float, default=USUAL_FIDELITY)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    size = arguments.size
    stylizer = Stylizer.load(arguments.model, bf16=arguments.bf16)

    def scaled(image: torch.Tensor) -> torch.Tensor:
        return F.interpolate(image[None], (size, size), mode="bicubic", antialias=True)[0].clamp(-1, 1)

    crops = []
    for photo in arguments.photos:
        crop = stylizer.align(photo, AlignConfig(face="largest")).faces[0].crop
        crops.append(crop)
    codes = stylizer.invert_crops(torch.stack(crops), refine_steps=arguments.refine)
    base, codes = stylizer.render(codes), weigh_feature_code(stylizer.model, codes, arguments.fidelity)
    columns = [[scaled(c) for c in crops], [scaled(b) for b in base]]
    top: list[torch.Tensor | None] = [None, None]
    names = ["photo", "inversion"]
    for reference in arguments.references:
        if reference.suffix == ".safetensors":
            style = Style.load(reference)
        else:
            config = OneShotConfig(steps=arguments.steps, random_from=arguments.random_from, color=arguments.color)
            try:
                style = stylizer.fit([reference], config)
            except MienError as error:
                print(f"{reference.name}: {error}")
                style = stylizer.fit([reference], config, align=AlignConfig(aligned=True))
        if reference.suffix == ".safetensors":
            seen = style.thumbnail.float() / 127.5 - 1
        else:
            rgb = read_image(reference).rgb()
            seen = extract(rgb, whole_frame(rgb.shape[2], rgb.shape[1]), size)[0]
        top.append(scaled(seen[:, :, : seen.shape[1]]))
        faces = stylizer.render(codes, stylizer._tuned_network(style), arguments.strength)
        columns.append([scaled(face) for face in faces])
        names.append(reference.stem)
        print(reference.stem, style.settings.get("loss"), flush=True)
    rows = [top] + [list(row) for row in zip(*columns, strict=True)]
    image = sheet(rows, size=size, column_labels=names)
    write_image(arguments.output, from_tensor(image), overwrite=True)


if __name__ == "__main__":
    main()
