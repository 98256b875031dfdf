"""How well a model inverts people of different groups: a table for its model card.

python tools/quality_by_group.py faces-eval.zip labels.csv [--model MODEL] [--identity MOBILEFACENET]

The images are aligned faces that the model never saw; the first line of the labels is `image,skin,hair,age,pose` or any other
columns. Photos are inverted by the encoder, once with and once without the feature code; nothing is optimized.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor

from mien.evaluation.evaluate import open_instruments
from mien.evaluation.groups import group_table, quality_by_group, read_labels
from mien.media.eight_bit import from_uint8
from mien.media.image_dataset import load_dataset
from mien.metrics.perceptual import in_batches
from mien.pipeline import Stylizer


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder or zip of aligned faces")
    parser.add_argument("labels", type=Path, help="CSV file")
    parser.add_argument("--model", type=Path, help="the model's file; without it the embedded one")
    parser.add_argument("--identity", type=Path, help="MobileFaceNet as .safetensors; without it mien's own network")
    given = parser.parse_args()
    stylizer = Stylizer.load(given.model)
    data = load_dataset(given.images, stylizer.resolution)
    labels, photos = read_labels(given.labels, data.names), from_uint8(data.pixels)
    who = open_instruments(identity=given.identity).identity

    def inverted(fidelity: float) -> Tensor:
        return in_batches(lambda some: stylizer.render(stylizer.invert_crops(some, fidelity=fidelity)).clamp(-1, 1), photos)

    own = who.vectors(photos)
    for title, fidelity in (("W+ code alone", 0.0), ("with the feature code", 1.0)):
        made = inverted(fidelity)
        rows = quality_by_group(photos, made, (own, who.vectors(made)), labels)
        print(f"{title}; identity by {who.name}\n\n{group_table(rows)}\n")


if __name__ == "__main__":
    main()
