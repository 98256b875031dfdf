"""The options that several verbs share. What a setting means is said once, on its configuration field, and read from there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from typer import Argument, BadParameter, Option

from mien.cli.flags import MachineFlags
from mien.cli.paths import Job
from mien.config import Setting, settings_in_source
from mien.errors import InputError, ModelMismatchError
from mien.runtime import pick_device

if TYPE_CHECKING:
    from mien.faces import AlignConfig
    from mien.finetune.oneshot import FitConfig
    from mien.stylizer import Stylizer

_FIT = settings_in_source("mien.finetune.oneshot", "FitConfig")


def told(setting: Setting, *flags: str, least: float | None = None) -> Any:
    """An option whose help is the sentence of a configuration field; numbers below `least` are refused."""
    return Option(*flags, help=f"{setting.sentence[:1].upper()}{setting.sentence[1:]}.", min=least)


def _fit(name: str, *flags: str, least: float | None = None) -> Any:
    return told(_FIT[name], *flags, least=least)


def _default(name: str) -> Any:
    return _FIT[name].default


Photos = Annotated[list[Path], Argument(metavar="PHOTO...", help="Photos, or folders of photos.", show_default=False)]
Photo = Annotated[Path, Argument(metavar="PHOTO", help="The photo.", show_default=False)]
Out = Annotated[
    Path, Option("--out", "-o", help="File to write; a folder where several pictures come out.", show_default=False)
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace outputs that exist.")]
ModelFile = Annotated[
    Path | None, Option("--model", help="Another face model; without it the embedded one.", show_default=False)
]


def _strength(text: str) -> str:
    """The text, once it is known to be a strength: here the program says which flag is wrong, and where its help is."""
    from mien.editing import parse_strength

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

    model: Annotated[Path | None, Option(help="Another face model; without it the embedded one.", show_default=False)] = None

    def stylizer(self, machine: MachineFlags) -> Stylizer:
        """The networks, loaded, on their device."""
        from mien.stylizer import Stylizer

        pick_device(machine.device)  # a device that is not there is told before anything is read
        return Stylizer.load(self.model, device=machine.device, bf16=machine.bf16)


@dataclass(frozen=True)
class InvertingModelFlags(ModelFlags):
    """Which generator, and which encoder finds codes for it."""

    encoder: Annotated[
        Path | None,
        Option(help="Another encoder for it, of e4e, pSp or ReStyle; without it the model's own.", show_default=False),
    ] = None

    def stylizer(self, machine: MachineFlags) -> Stylizer:
        """The networks, loaded, on their device."""
        stylizer = super().stylizer(machine)
        if self.encoder is not None:
            from mien.checkpoint import load_encoder

            encoder, generator = load_encoder(self.encoder).encoder, stylizer.model.generator
            given, wanted = (encoder.config.num_ws, encoder.config.w_dim), (generator.num_ws, generator.config.w_dim)
            if given != wanted:
                raise ModelMismatchError(
                    f"The encoder {self.encoder} answers with {given[0]} rows of {given[1]} numbers, and the model takes "
                    f"{wanted[0]} of {wanted[1]}: take an encoder that was trained for this model."
                )
            stylizer.model.encoder = encoder.to(stylizer.device)
        return stylizer


@dataclass(frozen=True)
class FitFlags:
    """How a style is learned."""

    PANEL: ClassVar[str] = "Learning the style"

    steps: Annotated[int, _fit("steps", "--steps", least=0)] = _default("steps")
    learning_rate: Annotated[float, _fit("learning_rate", "--learning-rate", least=0)] = _default("learning_rate")
    color: Annotated[Literal["reference", "photo"], _fit("color", "--color", "--colour")] = _default("color")
    space: Annotated[Literal["s", "w-plus"], _fit("space", "--space")] = "s"
    random_from: Annotated[str, _fit("random_from", "--random-from")] = _default("random_from")
    random_layers: Annotated[str | None, _fit("random_layers", "--random-layers")] = _default("random_layers")
    mask: Annotated[str, _fit("mask", "--mask")] = _default("mask")
    batch: Annotated[int, _fit("batch", "--batch", least=0)] = _default("batch")
    noise: Annotated[Literal["random", "const"], _fit("noise", "--noise")] = _default("noise")
    seed: Annotated[int, _fit("seed", "--seed", least=0)] = _default("seed")
    extreme: Annotated[
        bool, Option("--extreme", help="For animals and masks: take the whole reference, and the mean face as its code.")
    ] = False
    refine_reference: Annotated[
        int | None,
        Option(
            "--refine-reference",
            min=0,
            help="Optimisation steps for the reference's code; without it none, or 300 when the model has no encoder.",
            show_default=False,
        ),
    ] = None

    def config(self) -> FitConfig:
        """The library's configuration."""
        from mien.finetune.oneshot import FitConfig

        return FitConfig(
            steps=self.steps,
            learning_rate=self.learning_rate,
            space="w_plus" if self.space == "w-plus" else "s",
            random_from=self.random_from,
            random_layers=self.random_layers,
            mask=self.mask,
            color=self.color,
            batch=self.batch,
            noise=self.noise,
            seed=self.seed,
        )


@dataclass(frozen=True)
class AlignFlags:
    """Where the faces are."""

    PANEL: ClassVar[str] = "Where the faces are"

    face: Annotated[
        str | None,
        Option(
            "--face",
            help="Which: largest, all, or a number from 1 by size. Without it all of a photo, the largest of a reference.",
            show_default=False,
        ),
    ] = None
    aligned: Annotated[bool, Option("--aligned", help="The picture already is an aligned square crop: look for no face.")] = (
        False
    )
    box: Annotated[str | None, Option("--box", help="The crop by hand, in pixels: X,Y,SIDE.", show_default=False)] = None
    landmarks: Annotated[
        str | None,
        Option(
            "--landmarks",
            help="Eyes, nose, mouth corners by hand, left first as seen: 'x,y x,y x,y x,y x,y', or a file of 5 or 68 points.",
            show_default=False,
        ),
    ] = None

    def for_photos(self, jobs: Sequence[Job], *, crop: bool) -> AlignConfig:
        """The library's configuration for the photos of `jobs`: all faces (for a `crop` the largest) unless told otherwise."""
        return self._config("largest" if crop else "all", "photo", len({job.photo for job in jobs}))

    def for_references(self, pictures: Sequence[Path]) -> AlignConfig:
        """The library's configuration for references: the largest face of each unless told otherwise."""
        return self._config("largest", "reference", len(pictures))

    def _config(self, face: str, purpose: Literal["photo", "reference"], pictures: int) -> AlignConfig:
        if pictures > 1 and (self.box or self.landmarks):
            raise InputError(
                f"A box or landmarks by hand belong to one picture, and there are {pictures}: give them one by one."
            )
        box = numbers(self.box, "--box", "X,Y,SIDE", 3)
        which = self.face or face
        if which not in ("largest", "all") and not which.isdecimal():
            raise InputError(f"--face takes largest, all or a number from 1, got '{which}'.")

        from mien.faces import AlignConfig, parse_landmarks

        points = parse_landmarks(self.landmarks).tolist() if self.landmarks else []
        return AlignConfig(
            face=int(which) if which.isdecimal() else "all" if which == "all" else "largest",
            aligned=self.aligned,
            box=(box[0], box[1], box[2]) if box else None,
            landmarks=tuple((x, y) for x, y in points) or None,
            purpose=purpose,
        )


@dataclass(frozen=True)
class StyleAlignFlags(AlignFlags):
    """Where the face of the reference is: the same, for the pictures behind --style."""

    PANEL: ClassVar[str] = "Where the reference's face is"

    face: Annotated[str | None, Option("--style-face", help="As --face, for the references.", show_default=False)] = None
    aligned: Annotated[bool, Option("--style-aligned", help="As --aligned, for the references.")] = False
    box: Annotated[str | None, Option("--style-box", help="As --box, for the reference.", show_default=False)] = None
    landmarks: Annotated[
        str | None, Option("--style-landmarks", help="As --landmarks, for the reference.", show_default=False)
    ] = None


@dataclass(frozen=True)
class RenderFlags:
    """How a style is put on a photo."""

    PANEL: ClassVar[str] = "Rendering"

    strength: StrengthText = "1"
    refine: Annotated[
        int, Option(help="Optimisation steps that make the face more like the person; 0: the encoder's answer alone.", min=0)
    ] = 60
    crop: Annotated[bool, Option("--crop", help="Write the square of the face alone; do not paste it back.")] = False


@contextmanager
def speaking_of_the_reference() -> Iterator[None]:
    """In `stylize` the options for the reference have names of their own: say those in the errors that suggest them."""
    try:
        yield
    except InputError as error:
        raise type(error)(re.sub(r"--(face|aligned|box|landmarks)\b", r"--style-\1", str(error))) from error


def numbers(text: str | None, flag: str, form: str, count: int) -> list[float]:
    """The numbers in a flag's value, separated by commas or spaces; empty for None."""
    if text is None:
        return []
    try:
        found = [float(part) for part in re.split(r"[,;\s]+", text.strip())]
    except ValueError:
        found = []
    if len(found) != count or any(abs(n) == float("inf") or n != n for n in found):
        raise InputError(f"{flag} takes {form}, got '{text}'.")
    return found


def whole_numbers(text: str | None, flag: str) -> list[int]:
    """The whole numbers from 0 in a flag's value, separated by commas or spaces; empty for None."""
    parts = re.split(r"[,;\s]+", text.strip()) if text is not None else []
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{flag} takes whole numbers such as 3,8,11, got '{text}'.")
    return [int(part) for part in parts]
