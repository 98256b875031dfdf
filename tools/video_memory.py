"""Whether the memory of `mien video` grows with the length of a clip: its peak for a short and for a long one.

python tools/video_memory.py [--seconds 60 240] [--fps 10] [--style ink]

Each clip shows the example portrait moving along a smooth path, 320x240, and is drawn in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PORTRAIT = Path(__file__).parent.parent / "examples" / "portrait.png"
WIDTH, HEIGHT = 320, 240


def write_clip(path: Path, seconds: int, fps: int) -> None:
    """A clip of that length in which the portrait moves."""
    import av
    import numpy as np

    from mien.evaluation.flicker import Path as Way

    portrait, way = Image.open(PORTRAIT).convert("RGB").resize((WIDTH, HEIGHT)), Way()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = WIDTH, HEIGHT
        for index in range(seconds * fps):
            right, down, turn, _ = way.at(index / fps, HEIGHT)
            moved = portrait.rotate(turn, Image.Resampling.BILINEAR, translate=(round(right), round(down)), fillcolor="#8090a0")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(moved))))
        container.mux(stream.encode())


def draw(clip: Path, style: str) -> None:
    """Draw it, and print the peak of this process's memory in MiB."""
    import mien

    made = mien.stylize_video(
        clip, style, clip.with_name("made.mp4"), config=mien.video.VideoConfig(draw_every=2), overwrite=True,
        render=mien.RenderConfig(), model=mien.Stylizer.load(dtype="bfloat16"),
    )  # fmt: skip
    assert made.with_faces > 0.9 * made.frames, "the face was lost"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    print(f"{made.frames} frames in {made.seconds:.0f} s, peak {peak:.0f} MiB")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, nargs="+", default=[60, 240])
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--style", default="ink")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.draw is not None:
        draw(asked.draw, asked.style)
        return
    with tempfile.TemporaryDirectory() as folder:
        for seconds in asked.seconds:
            clip = Path(folder) / f"{seconds}.mp4"
            write_clip(clip, seconds, asked.fps)
            print(f"{seconds} s:", end=" ", flush=True)
            subprocess.run([sys.executable, __file__, "--draw", str(clip), "--style", asked.style], check=True)


if __name__ == "__main__":
    main()
