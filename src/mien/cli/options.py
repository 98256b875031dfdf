"""The options that several verbs share. What a setting means is said once, on its configuration field, and read from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from typer import Argument, BadParameter, Option

from mien.cli.flags import MachineFlags
from mien.config import Setting, settings_in_source
from mien.errors import InputError
from mien.oneshot.presets import PRESETS, PresetName

if TYPE_CHECKING:
    from mien.editing.config import Control
    from mien.inversion.config import InvertConfig
    from mien.pipeline import Stylizer
    from mien.render_config import RenderConfig

_INVERT = settings_in_source("mien.inversion.config", "InvertConfig")
Inverter = Literal["encoder", "iterated", "w", "w+", "prior", "mean"]


def told(setting: Setting, *flags: str, least: float | None = None, check: Callable[[str], str] | None = None) -> Any:
    """An option whose help is the sentence of a configuration field; numbers below `least` are refused.

    `check` may raise `BadParameter`, which says which flag is wrong and where its help is.
    """
    sentence = f"{setting.sentence[:1].upper()}{setting.sentence[1:]}."
    return Option(*flags, help=sentence, min=least, callback=check)


def inverting(name: str, *flags: str, least: float | None = None) -> Any:
    """An option with the sentence of a field of `InvertConfig`."""
    return told(_INVERT[name], *flags, least=least)


Photos = Annotated[list[Path], Argument(metavar="PHOTO...", help="Photos, or folders of photos.", show_default=False)]
Out = Annotated[
    Path, Option("--out", "-o", help="File to write; a folder where several pictures come out.", show_default=False)
]
OutputsAre = Annotated[
    Literal["auto", "photos", "crops"],
    Option(help="What pictures of other methods show: whole photos, aligned face crops, or as the proportions of each tell."),
]
PhotosAligned = Annotated[bool, Option("--aligned", help="The photos already are aligned square crops: look for no face.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace outputs that exist.")]
ModelFile = Annotated[
    Path | None,
    Option(
        "--model",
        help="Another face model: a file, or a name from `mien models`; without it the embedded one.",
        show_default=False,
    ),
]


JudgeOfLooks = Annotated[
    Path | None,
    Option(
        "--features", help="MobileNetV2 as .tflite to compare looks; without it mien's own discriminator.", show_default=False
    ),
]
JudgeOfPeople = Annotated[
    Path | None,
    Option(
        "--identity",
        help="MobileFaceNet as .safetensors, or ArcFace IR-SE50, to tell people apart; without it mien's own.",
        show_default=False,
    ),
]

PresetOption = Annotated[
    PresetName | None,
    Option(
        "--preset",
        help=f"Values for all options that are not given: {'; '.join(f'{n}, {p.summary}' for n, p in PRESETS.items())}.",
        show_default=False,
    ),
]


def _strength(text: str) -> str:
    """The text, once it is known to be a strength: here the program says which flag is wrong, and where its help is."""
    from mien.editing.config import parse_strength

    try:
        parse_strength(text)
    except InputError as error:
        raise BadParameter(str(error)) from error
    return text


StrengthText = Annotated[
    str,
    Option(
        "--strength",
        callback=_strength,
        help="How much style: 0 is the model's own face of the person, 1 the full style, 1.5 more than that; "
        "or by size, as in coarse=1,middle=0.5,fine=1.2 (4-8, 16-32, from 64 px).",
    ),
]


@dataclass(frozen=True)
class ModelFlags:
    """Which generator."""

    PANEL: ClassVar[str] = "Model"

    model: Annotated[
        Path | None,
        Option(
            help="Another face model: a file, or a name from `mien models`; without it the embedded one.", show_default=False
        ),
    ] = None

    def stylizer(self, machine: MachineFlags) -> Stylizer:
        """The networks, loaded, on their device."""
        from mien.pipeline import Stylizer

        return Stylizer.load(self.model, device=machine.device, dtype=machine.dtype)


@dataclass(frozen=True)
class InvertingModelFlags(ModelFlags):
    """Which generator, and which encoder finds codes for it."""

    encoder: Annotated[
        Path | None,
        Option(help="Another encoder for it (e4e, pSp or ReStyle), likewise; without it the model's own.", show_default=False),
    ] = None

    def stylizer(self, machine: MachineFlags) -> Stylizer:
        """The networks, loaded, on their device."""
        from mien.pipeline import Stylizer

        return Stylizer.load(self.model, encoder=self.encoder, device=machine.device, dtype=machine.dtype)


def chosen_inverter(method: Inverter) -> InvertConfig | None:
    """The library's configuration; None for the encoder, which is the usual way."""
    from mien.inversion.config import InvertConfig

    return None if method == "encoder" else InvertConfig(method)


@dataclass(frozen=True)
class DrawFlags:
    """How a face is drawn in a style."""

    PANEL: ClassVar[str] = "Rendering"

    strength: StrengthText = "1"
    likeness: Annotated[
        float | None,
        Option(
            help="How much is kept of the person that no code of the model can say: 1 all of it, 0 none (nearer to the style); "
            "in between less in hair and clothes than in the face; without it 0.7, and 0 for a model fine-tuned on a set.",
            min=0,
            max=1,
            show_default=False,
        ),
    ] = None
    inverter: Annotated[Inverter, Option(help="How a face becomes a code: as --method of mien invert.")] = "encoder"
    refine: Annotated[
        int, Option(help="Optimisation steps that make the face more like the person; 0: the inverter's answer alone.", min=0)
    ] = 20

    def config(self, control: Control | None = None) -> RenderConfig:
        """The library's configuration."""
        from mien.editing.config import parse_strength
        from mien.render_config import RenderConfig

        drawn = RenderConfig(parse_strength(self.strength), self.likeness, self.inverter, self.refine)
        return drawn if control is None else replace(drawn, keep=control.keep, exaggerate=control.exaggerate)


@dataclass(frozen=True)
class RenderFlags(DrawFlags):
    """How a style is put on a photo."""

    crop: Annotated[bool, Option("--crop", help="Write the square of the face alone; do not paste it back.")] = False

    def config(self, control: Control | None = None) -> RenderConfig:
        """The library's configuration."""
        return replace(super().config(control), crop=self.crop)
