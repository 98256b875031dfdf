"""Measure how much streams flicker, beside the same clip drawn frame by frame: the table of docs/video.md.

python tools/measure_flicker.py PHOTO ... [--styles ink,toon] [--frames 24] [--noise 2] [--by-itself 6]

Each photo moves along a smooth path (shift, turn, zoom), with new noise of a sensor in each frame. The motion is undone, and
what still varies in the face is measured. Frames by themselves take seconds each: only some of the clip are drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import mien
from mien.evaluation.flicker import NOISE, measured, moved_photo
from mien.faces.detect import find_faces
from mien.media.image_input import as_image
from mien.streaming.quick_crop import Frame


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--styles", default="toon,ink,comic,poster")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--noise", type=float, default=NOISE)
    parser.add_argument("--by-itself", type=int, default=6, help="frames of each clip that are drawn by themselves; 0: none")
    given = parser.parse_args()
    pipe = mien.Stylizer.load(dtype="bfloat16")
    print("style   clip's own  stream  ratio  frame by frame  ratio")
    for style in given.styles.split(","):
        rows = [_row(pipe, photo, style, given) for photo in given.photos]
        own, stream, alone = (float(np.mean([row[i] for row in rows])) for i in range(3))
        ratios = [float(np.mean([row[i] for row in rows])) for i in (3, 4)]
        print(f"{style:8s}{own:10.2f}{stream:8.2f}{ratios[0]:7.2f}{alone:16.2f}{ratios[1]:7.2f}", flush=True)


def _row(pipe: mien.Stylizer, path: Path, style: str, given: argparse.Namespace) -> tuple[float, ...]:
    """Spread in time of the clip, of the stream and of single frames, and the ratios of the last two to the clip's own."""
    photo = as_image(path).rgb()
    face = find_faces(photo)[0].frame()
    before, after = measured(
        moved_photo(photo, face, frames=given.frames, noise=given.noise), face, mien.Stream.load(style, model=pipe)
    )
    if not given.by_itself:
        return before.spread, after.spread, float("nan"), after.spread / before.spread, float("nan")

    def draw(pixels: Frame, seconds: float) -> Frame:
        return np.asarray(pipe(style, pixels).image)

    frames = list(moved_photo(photo, face, frames=given.frames, noise=given.noise))
    some = frames[:: max(1, given.frames // given.by_itself)]
    clip, alone = measured(iter(some), face, draw)
    return before.spread, after.spread, alone.spread, after.spread / before.spread, alone.spread / clip.spread


if __name__ == "__main__":
    main()
