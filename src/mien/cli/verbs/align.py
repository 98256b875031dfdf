"""`mien align`: the square that the model sees of a face."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from mien.batch.config import FilesConfig
from mien.cli.machine import Screen
from mien.cli.options import Out, Photos
from mien.cli.paths import make_folder, plan, write_out
from mien.cli.result import Report, progress
from mien.faces.config import AlignConfig

EXAMPLES = (
    "mien align me.jpg -o crop.png",
    "mien align group.jpg --face 2 --size 512 -o second.png",
    "mien align photos -o crops",
    "mien align group.jpg --face all -o crops",
)


TO_STDOUT = True


def run(
    photos: Photos,
    out: Out,
    align: AlignConfig,
    files: FilesConfig,
    screen: Screen,
    size: Annotated[int, Option(help="Side of the crop in pixels.", min=8, max=8192)] = 256,
) -> Report:
    """Cut out a face as FFHQ does: eyes level, head and hair in a square.

    Takes the largest face of each photo unless told otherwise; with --face all every face, numbered from the largest.
    """
    if align.face == "all":
        make_folder(out, "`face` all writes a crop of every face")
    (jobs, _), report = plan(photos, ["face"], out, files, align), Report()

    from mien.faces.locate import align_faces
    from mien.media.images import from_tensor

    with progress("photos", quiet=screen.quiet or len(jobs) < 2) as advance:

        def one(index: int) -> None:
            job = jobs[index]
            for number, face in enumerate(align_faces(job.photo, align.one(), size=size), 1):
                target = job.out if align.face != "all" else job.out.with_stem(f"{job.out.stem}_{number}")
                write_out(target, from_tensor(face.crop), overwrite=files.overwrite)
                facts = {"center": face.frame.center, "side": face.frame.side, "angle": face.frame.angle}
                report.wrote(target, {"photo": str(job.photo), **facts})
            advance(index + 1, len(jobs), 0.0)

        report.attempt([job.photo for job in jobs], one)
    return report
