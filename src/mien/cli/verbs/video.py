"""`mien video`: a video or an animation in a style."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Machine, Screen
from mien.cli.options import InvertingModel, Overwrite
from mien.cli.paths import check_outputs, resolve_file
from mien.cli.render import styles_of_people
from mien.cli.result import Report, progress
from mien.cli.shown import OF_A_VIDEO
from mien.render_config import RenderConfig
from mien.video.config import VideoConfig

EXAMPLES = (
    "mien video toon me.mp4 -o toon.mp4",
    "mien video ink,toon two-people.mov -o each-in-a-style.mp4",
    "mien video none,comic two-people.mov -o the-second-alone.mp4",
    "mien video ink me.mp4 --face 1 --strength 0.8 -o me-alone.mp4",
    "mien video poster dance.gif -o poster.gif",
)


def run(
    style: Annotated[
        str,
        Argument(
            metavar="STYLE", help="A style, or one per person separated by commas, the last for all others; none: untouched."
        ),
    ],
    clip: Annotated[Path, Argument(metavar="CLIP", help="A video, or an animated GIF, WebP or PNG.")],
    out: Annotated[Path, Option("--out", "-o", help="Video to write: .mp4, .mov, .mkv, .webm, .avi, .gif, .webp or .png.")],
    video: VideoConfig,
    drawing: Annotated[RenderConfig, OF_A_VIDEO],
    model: InvertingModel,
    machine: Machine,
    screen: Screen,
    overwrite: Overwrite = False,
) -> Report:
    """Redraw the faces in a video; sound, timing and colors are kept.

    Faces are tracked from frame to frame, and people are numbered as they appear.
    """
    styles, clip = styles_of_people(style), resolve_file(clip)
    check_outputs([out], [clip], overwrite=overwrite)

    from mien.video import stylize_video

    with progress("frames", quiet=screen.quiet, rate=True) as advance:
        made = stylize_video(
            clip,
            styles,
            out,
            config=video,
            render=drawing,
            model=model.stylizer(machine),
            overwrite=overwrite,
            progress=advance,
        )
    report, rate = Report(), made.frames / made.seconds
    facts = {"frames": made.frames, "with_faces": made.with_faces, "people": len(made.people), "cuts": made.cuts}
    report.wrote(out, {**facts, "broken": made.broken, "frames_per_second": round(rate, 2)})
    return report
