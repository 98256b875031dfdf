"""`mien align`: the square that the model sees of a face."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from mien.cli.machine import Screen
from mien.cli.options import Out, Overwrite, Photos, one_by_hand
from mien.cli.paths import plan
from mien.cli.result import Report
from mien.faces.config import AlignConfig

EXAMPLES = (
    "mien align me.jpg -o crop.png",
    "mien align group.jpg --face 2 --size 512 -o second.png",
    "mien align photos -o crops",
)


def run(
    photos: Photos,
    out: Out,
    align: AlignConfig,
    screen: Screen,
    size: Annotated[int, Option(help="Side of the crop in pixels.", min=8, max=8192)] = 256,
    overwrite: Overwrite = False,
) -> Report:
    """Cut out a face as FFHQ does: eyes level, head and hair in a square.

    Takes one face of each photo, the largest unless you say otherwise.
    """
    jobs = plan(photos, ["face"], out, overwrite=overwrite)
    one_by_hand(align, [job.photo for job in jobs])

    from mien.faces.locate import cut_out
    from mien.media.images import from_tensor, read_picture, write_picture

    report = Report()

    def one(index: int) -> None:
        frame, crop, _ = cut_out(read_picture(jobs[index].photo), align.one(), size)[0]
        write_picture(jobs[index].out, from_tensor(crop), overwrite=True)
        facts = {"centre": frame.centre, "side": frame.side, "angle": frame.angle}
        report.wrote(jobs[index].out, {"photo": str(jobs[index].photo), **facts})

    report.attempt([job.photo for job in jobs], one)
    return report
