"""How far styles change gaze and mouth, before and after what mien does against it: a sheet to look at, and numbers.

python tools/gaze_sheet.py REF... --photos FOLDER -o OUT.png [--model FILE] [--steps 200]

Each reference is learned twice, as usual and with `--gaze photo`; the first is also rendered with `--keep eyes,mouth`. Gaze
and mouth are distances to what the base model makes of the same photos, in units of the distance between the eyes; style is
the distance to the reference in the features of the discriminator (the loss of the fit, over the whole image).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mien.editing.config import Control
from mien.editing.control import Steering
from mien.errors import FaceNotFoundError
from mien.faces.config import AlignConfig
from mien.faces.expression import expression_distance, measure_expression
from mien.latents import USUAL_FIDELITY, Codes
from mien.losses.features import FrozenFeatures, feature_distance, loss_resolutions
from mien.media.contact_sheet import sheet
from mien.media.images import from_tensor, list_images, write_image
from mien.oneshot.config import OneShotConfig
from mien.pipeline import Stylizer

MEASURES = ("gaze", "mouth", "style")


def main() -> None:
    """Learn every style, put it on every photo in three ways, write the sheet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=Path, nargs="+", metavar="REF")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    stylizer = Stylizer.load(arguments.model)
    crops = torch.stack(list(_largest_faces(stylizer, list_images(arguments.photos))))
    codes = stylizer.invert_crops(crops, fidelity=USUAL_FIDELITY)
    base = stylizer.render(codes).clamp(-1, 1)
    rows: list[list[Tensor | None]] = [[None, *crops], [None, *base]]
    labels, table = ["photo", "model"], {}
    expression = measure_expression(base)

    print(f"{'reference':24s} {'way':22s} " + " ".join(f"{name:>7s}" for name in MEASURES))
    for path in arguments.references:
        (reference,) = _largest_faces(stylizer, [path])
        for way, faces in _ways(stylizer, path, codes, arguments.steps).items():
            moved = expression_distance(measure_expression(faces), expression)
            far = _style_distance(stylizer, faces, reference[None])
            row = [float(moved.gaze.mean()), float(moved.mouth.mean()), far]
            table.setdefault(way, []).append(row)
            print(f"{path.stem:24s} {way:22s} " + " ".join(f"{value:7.4f}" for value in row), flush=True)
            rows.append([reference, *faces])
            labels.append(way)
    for way, numbers in table.items():
        means = torch.tensor(numbers).mean(dim=0).tolist()
        print(f"{'mean':24s} {way:22s} " + " ".join(f"{value:7.4f}" for value in means))
    write_image(arguments.out, from_tensor(sheet(rows, size=128, row_labels=labels)), overwrite=True)


def _ways(stylizer: Stylizer, path: Path, codes: Codes, steps: int) -> dict[str, Tensor]:
    """The faces [N, 3, R, R] in the style of one reference: as usual, and with what is done for gaze and mouth."""
    style = stylizer.fit([path], OneShotConfig(steps=steps))
    keep = Steering(stylizer.regions, Control(keep={"eyes": 1.0, "mouth": 1.0}))
    network = stylizer._tuned_network(style)
    ways = {"as usual": stylizer.render(codes, network), "--keep eyes,mouth": stylizer.render(codes, network, 1.0, keep)}
    style = stylizer.fit([path], OneShotConfig(steps=steps, gaze="photo"))
    ways["--gaze photo"] = stylizer.render(codes, stylizer._tuned_network(style))
    return {way: faces.clamp(-1, 1) for way, faces in ways.items()}


def _largest_faces(stylizer: Stylizer, paths: Sequence[Path]) -> Iterator[Tensor]:
    """The crop [3, R, R] of each image's largest face; images without one are named and left out."""
    for path in paths:
        try:
            yield stylizer.align(path, AlignConfig(face="largest")).faces[0].crop
        except FaceNotFoundError as error:
            print(error)


def _style_distance(stylizer: Stylizer, faces: Tensor, reference: Tensor) -> float:
    assert stylizer.model.discriminator is not None
    judge = FrozenFeatures(stylizer.model.discriminator, loss_resolutions(stylizer.resolution))
    targets = [target.expand(len(faces), -1, -1, -1) for target in judge(reference)]
    return float(feature_distance(judge(faces), targets))


if __name__ == "__main__":
    main()
