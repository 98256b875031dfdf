"""What several verbs take beside the settings of the library: files, networks, presets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from mien.cli.machine import Machine
from mien.errors import InputError
from mien.evaluation.config import FEATURES, Features
from mien.oneshot.config import OneShotConfig
from mien.oneshot.presets import PRESETS, PresetName

if TYPE_CHECKING:
    from mien.models.embedders import ArcFace
    from mien.pipeline import Stylizer

Photos = Annotated[list[Path], Argument(metavar="PHOTO...", help="Photos, or folders of photos; - is stdin.")]
Out = Annotated[Path, Option("--out", "-o", help="File or folder to write; - is stdout.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace outputs that exist.")]
PresetOption = Annotated[
    PresetName | None,
    Option(
        "--preset",
        help=f"Preset for all options that are not given: {', '.join(f'{n} ({p.summary})' for n, p in PRESETS.items())}.",
    ),
]
Compare = Annotated[bool, Option("--compare", help="Write before and after side by side.", hidden=True)]
Regions = Annotated[
    Path | None,
    Option(help="Face regions, a file of `mien regions`; default: the model's own, or computed.", hidden=True),
]


@dataclass(frozen=True)
class ModelChoice:
    """Which generator."""

    model: Annotated[Path | None, "another face model: a file or a name from `mien models`; default: the embedded one"] = None

    def stylizer(self, machine: Machine) -> Stylizer:
        """The networks, loaded, on their device."""
        from mien.pipeline import Stylizer

        return Stylizer.load(self.model, device=machine.device, dtype=machine.dtype)


@dataclass(frozen=True)
class InvertingModel(ModelChoice):
    """Which generator, and which encoder finds codes for it."""

    encoder: Annotated[Path | None, "another encoder: e4e, pSp or ReStyle, likewise; default: the model's own"] = None

    def stylizer(self, machine: Machine) -> Stylizer:
        """The networks, loaded, on their device."""
        from mien.pipeline import Stylizer

        return Stylizer.load(self.model, encoder=self.encoder, device=machine.device, dtype=machine.dtype)


@dataclass(frozen=True)
class LossNetworks:
    """Networks of the user for the losses of learning."""

    identity_network: Annotated[Path | None, "ArcFace IR-SE50 for the identity loss; default: mien's own small network"] = None

    def opened(self, config: OneShotConfig) -> ArcFace | None:
        """The user's own network for the identity loss, loaded."""
        if self.identity_network is None:
            return None
        if not config.identity_weight:
            raise InputError("`identity_network` is of use with an `identity_weight` only: give one, such as 0.01.")
        from mien.checkpoint import load_identity

        return load_identity(self.identity_network)


@dataclass(frozen=True)
class Extractors:
    """The networks that measure."""

    features: Annotated[Features, FEATURES] = "auto"
    identity: Annotated[
        Path | None, "MobileFaceNet as .safetensors, or ArcFace IR-SE50, to compare identities; default: mien's own"
    ] = None


def give_regions(stylizer: Stylizer, file: Path | None) -> None:
    """Let a stylizer take the parts of the face in a file, if one was named."""
    if file is not None:
        from mien.checkpoint.regions_file import Regions as RegionsFile

        known = RegionsFile.load(file)
        known.check_fits(stylizer.model.generator, stylizer.digest)
        stylizer.regions = known
