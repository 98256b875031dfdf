"""`mien blind`: two methods' pictures side by side without names, and the count of the votes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.flags import ScreenFlags
from mien.cli.named import folders
from mien.cli.options import OutputsAre, Overwrite, PhotosAligned, told
from mien.cli.paths import existing, photos_in
from mien.cli.result import Report
from mien.config import settings_in_source
from mien.errors import InputError

EXAMPLES = (
    "mien blind ours=results theirs=their-results --photos photos --reference reference.png -o study",
    "mien blind --score study",
)

_BLIND = settings_in_source("mien.evaluation.config", "BlindConfig")


def run(
    screen: ScreenFlags,
    outputs: Annotated[
        list[str] | None,
        Argument(
            metavar="[OUTPUTS OUTPUTS]",
            help="Two folders of pictures called as the photos are, as NAME=FOLDER or FOLDER.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path | None, Option(help="Folder of photos; the largest face of each is shown.", show_default=False)
    ] = None,
    out: Annotated[Path | None, Option("--out", "-o", help="Folder to write.", show_default=False)] = None,
    outputs_are: OutputsAre = "auto",
    aligned: PhotosAligned = False,
    reference: Annotated[Path | None, Option(help="The style's picture, shown beside each pair.", show_default=False)] = None,
    reference_aligned: Annotated[
        bool, Option("--reference-aligned", help="The reference is an aligned square crop: look for no face.")
    ] = False,
    rows: Annotated[int, told(_BLIND["rows"], least=1)] = 6,
    seed: Annotated[int, told(_BLIND["seed"], least=0)] = 0,
    score: Annotated[
        Path | None, Option(help="Folder of a study: count the votes in its votes*.csv instead.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Ask people which of two methods they prefer: numbered pairs, left and right shuffled, votes to fill in, and the count.

    Writes sheets of pairs, votes.csv and a hidden key. Each voter writes A, B or = (neither) behind the numbers in a copy,
    votes-NAME.csv; --score tells how often which method was preferred, with the exact 95% interval.
    """
    if score is not None:
        if outputs or photos or out:
            raise InputError("--score counts the votes of a study that is there: give its folder alone.")
        from mien.evaluation.votes import score as count_votes

        preference = count_votes(score)
        return Report(preference.lines(), {"preference": preference.document()})
    if not outputs or photos is None or out is None:
        raise InputError("A study needs two folders of outputs, --photos and -o; or give --score and the folder of one.")
    two, pictures = folders(outputs, "OUTPUTS"), photos_in([photos])
    if reference is not None:
        existing(reference)

    from mien.evaluation.config import BlindConfig
    from mien.evaluation.preference_study import lay_out

    config = BlindConfig(seed, rows, aligned, reference_aligned, outputs_are)
    made = lay_out(two, pictures, out, config, reference=reference, overwrite=overwrite)
    report = Report(document={"pairs": made.pairs}, warnings=made.notes, failed=made.failed)
    for path in made.files:
        report.wrote(path)
    return report
