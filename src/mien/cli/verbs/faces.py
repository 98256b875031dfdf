"""`mien faces`: which faces are found in a photo, and their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from mien.batch.config import FilesConfig
from mien.cli.machine import Screen
from mien.cli.options import Out, Overwrite
from mien.cli.paths import plan, write_out
from mien.cli.result import Report

EXAMPLES = (
    "mien faces group.jpg -o numbered.png",
    "mien faces group.jpg -o numbered.png --json",
)

TO_STDOUT = True


def run(
    photo: Annotated[Path, Argument(metavar="PHOTO", help="A photo; - is stdin.")],
    out: Out,
    screen: Screen,
    overwrite: Overwrite = False,
) -> Report:
    """Number the faces in a photo, as --face counts them.

    Also prints the square around each head, as for --box.
    """
    (job,), _ = plan([photo], ["faces"], out, FilesConfig(overwrite))

    from mien.faces.locate import align_faces
    from mien.faces.numbered import draw_numbers
    from mien.media.image_input import as_image, to_pil

    image, report = as_image(job.photo), Report()
    frames = [face.frame for face in align_faces(image, size=8)]
    write_out(job.out, as_image(draw_numbers(to_pil(image), frames)), overwrite=overwrite)
    squares = [[round(c - f.side / 2) for c in f.center] + [round(f.side)] for f in frames]
    facts = {"photo": str(job.photo), "faces": [{"face": i, "box": box} for i, box in enumerate(squares, 1)]}
    report.wrote(job.out, facts)
    report.lines += [f"face {number}: --box {','.join(map(str, box))}" for number, box in enumerate(squares, 1)]
    return report
