"""The options that say which parts of a face stay the person's own, and which take the reference's shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from typer import Option

if TYPE_CHECKING:
    from mien.editing import Control
    from mien.pipeline import Stylizer


@dataclass(frozen=True)
class ControlFlags:
    """Parts of the face: eyes, brows, nose, mouth, jaw, hair."""

    PANEL: ClassVar[str] = "Parts of the face"

    keep: Annotated[
        str | None,
        Option(
            help="Parts that stay the person's own, as in eyes,mouth or eyes=0.5: eyes, brows, nose, mouth, jaw, hair.",
            show_default=False,
        ),
    ] = None
    exaggerate: Annotated[
        str | None, Option(help="Parts that take the reference's shape, as in eyes=0.7,nose.", show_default=False)
    ] = None
    regions: Annotated[
        Path | None,
        Option(help="The model's parts as `mien regions` wrote them; without it found anew.", show_default=False),
    ] = None

    def control(self) -> Control | None:
        """The library's configuration, None where nothing was asked for."""
        if self.keep is None and self.exaggerate is None:
            return None
        from mien.editing import Control, parse_amounts

        return Control(parse_amounts(self.keep, "--keep"), parse_amounts(self.exaggerate, "--exaggerate"))

    def give_regions(self, stylizer: Stylizer) -> None:
        """Let a stylizer take the parts of the file that was named, if one was."""
        if self.regions is not None:
            from mien.checkpoint.regions_file import Regions

            known = Regions.load(self.regions)
            known.check_fits(stylizer.model.generator, stylizer.digest)
            stylizer.regions = known
