"""`mien blind`: two methods' images side by side without names, and the count of the votes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.named import folders
from mien.cli.options import Overwrite
from mien.cli.paths import photos_in, resolve_file
from mien.cli.result import Report
from mien.errors import InputError
from mien.evaluation.config import BlindConfig

EXAMPLES = (
    "mien blind ours=results theirs=their-results --photos photos --reference reference.png -o study",
    "mien blind --score study",
)


def run(
    study: BlindConfig,
    screen: Screen,
    outputs: Annotated[
        list[str] | None,
        Argument(
            metavar="[OUTPUTS OUTPUTS]", help="Two folders of results with the photos' file names, as NAME=FOLDER or FOLDER."
        ),
    ] = None,
    photos: Annotated[Path | None, Option(help="Folder of photos; the largest face of each is shown.")] = None,
    out: Annotated[Path | None, Option("--out", "-o", help="Folder to write.")] = None,
    reference: Annotated[Path | None, Option(help="The style's image, shown beside each pair.")] = None,
    score: Annotated[Path | None, Option(help="Count the votes in this study's votes*.csv instead.")] = None,
    overwrite: Overwrite = False,
) -> Report:
    """Set up a blind study of two methods, and count its votes: numbered pairs, left and right shuffled.

    Writes sheets of pairs, votes.csv and a hidden key. Each voter fills in A, B or = (neither) in a copy,
    votes-NAME.csv; --score reports how often each method was preferred, with the exact 95% interval.
    """
    if score is not None:
        if outputs or photos or out:
            raise InputError("`score` counts the votes of a study that is there: give its folder alone.")
        from mien.evaluation.votes import count_votes

        preference = count_votes(score)
        return Report(preference.lines(), {"preference": preference.document()})
    if not outputs or photos is None or out is None:
        raise InputError("A study needs two folders of outputs, `photos` and `out`; or give `score` and the folder of one.")
    two, images = folders(outputs, "OUTPUTS"), photos_in([photos])
    shown = None if reference is None else resolve_file(reference)

    from mien.evaluation.preference_study import lay_out_study

    made = lay_out_study(two, images, out, study, reference=shown, overwrite=overwrite)
    report = Report(document={"pairs": made.pairs}, warnings=made.notes, failed=made.failed)
    for path in made.files:
        report.wrote(path)
    return report
