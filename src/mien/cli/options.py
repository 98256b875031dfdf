"""The options that several verbs share. What a setting means is said once, on its configuration field, and read from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from typer import Argument, BadParameter, Option

from mien.cli.flags import MachineFlags
from mien.config import Setting, settings_in_source
from mien.errors import InputError, ModelMismatchError
from mien.runtime import pick_device

if TYPE_CHECKING:
    from mien.finetune.fit_config import FitConfig
    from mien.finetune.follow import FollowConfig
    from mien.inversion import InvertConfig
    from mien.models.embedders import ArcFace
    from mien.models.mobilenet_v2 import MobileNetV2
    from mien.stylizer import Stylizer

_FIT = settings_in_source("mien.finetune.fit_config", "FitConfig")
_FOLLOW = settings_in_source("mien.finetune.follow", "FollowConfig")
_INVERT = settings_in_source("mien.inversion.methods", "InvertConfig")
Inverter = Literal["encoder", "iterated", "w", "w+", "prior", "mean"]


def told(setting: Setting, *flags: str, least: float | None = None, check: Callable[[str], str] | None = None) -> Any:
    """An option whose help is the sentence of a configuration field; numbers below `least` are refused.

    `check` may raise `BadParameter`, which says which flag is wrong and where its help is.
    """
    sentence = f"{setting.sentence[:1].upper()}{setting.sentence[1:]}."
    return Option(*flags, help=sentence, min=least, callback=check)


def _fit(name: str, *flags: str, least: float | None = None, check: Callable[[str], str] | None = None) -> Any:
    return told(_FIT[name], *flags, least=least, check=check)


def _steps(text: str) -> str:
    if text != "auto" and not str(text).isdecimal():
        raise BadParameter(f"'{text}' is neither a number of steps from 0 nor auto.")
    return text


def _follow(name: str, *flags: str, least: float | None = None) -> Any:
    return told(_FOLLOW[name], *flags, least=least)


def inverting(name: str, *flags: str, least: float | None = None) -> Any:
    """An option with the sentence of a field of `InvertConfig`."""
    return told(_INVERT[name], *flags, least=least)


def _default(name: str) -> Any:
    return _FIT[name].default


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

PresetName = Annotated[
    Literal["paper"] | None,
    Option(
        "--preset",
        help="Values for all options that are not given: paper is the set-up of the JoJoGAN paper.",
        show_default=False,
    ),
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

    model: Annotated[
        Path | None,
        Option(
            help="Another face model: a file, or a name from `mien models`; without it the embedded one.", show_default=False
        ),
    ] = None

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
        Option(help="Another encoder for it (e4e, pSp or ReStyle), likewise; without it the model's own.", show_default=False),
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


def chosen_inverter(method: Inverter) -> InvertConfig | None:
    """The library's configuration; None for the encoder, which is the usual way."""
    from mien.inversion import InvertConfig

    return None if method == "encoder" else InvertConfig(method)


@dataclass(frozen=True)
class FitFlags:
    """How a style is learned."""

    PANEL: ClassVar[str] = "Learning the style"

    steps: Annotated[str, _fit("steps", "--steps", check=_steps)] = str(_default("steps"))
    learning_rate: Annotated[float, _fit("learning_rate", "--learning-rate", least=0)] = _default("learning_rate")
    family: Annotated[Literal["auto", "mapping", "encoder"], _fit("family", "--family")] = _default("family")
    detail: Annotated[float, _fit("detail", "--reference-detail", least=0)] = _default("detail")
    one_sided: Annotated[bool, _fit("one_sided", "--one-sided")] = _default("one_sided")
    color: Annotated[Literal["reference", "photo"], _fit("color", "--color", "--colour")] = _default("color")
    gaze: Annotated[Literal["photo"] | None, _fit("gaze", "--gaze")] = _default("gaze")
    space: Annotated[Literal["s", "w-plus"], _fit("space", "--space")] = "s"
    random_from: Annotated[str, _fit("random_from", "--random-from")] = _default("random_from")
    random_layers: Annotated[str | None, _fit("random_layers", "--random-layers")] = _default("random_layers")
    mean_layers: Annotated[str | None, _fit("mean_layers", "--mean-layers")] = _default("mean_layers")
    mask: Annotated[str, _fit("mask", "--mask")] = _default("mask")
    batch: Annotated[int, _fit("batch", "--batch", least=0)] = _default("batch")
    loss: Annotated[Literal["discriminator", "pixels", "identity", "mobilenet-v2"], _fit("loss", "--loss")] = _default("loss")
    loss_network: Annotated[
        Path | None, Option("--loss-network", help="MobileNetV2 as .tflite, for the loss mobilenet-v2.", show_default=False)
    ] = None
    identity_weight: Annotated[float, _fit("identity_weight", "--identity-weight", least=0)] = _default("identity_weight")
    identity_network: Annotated[
        Path | None,
        Option(
            "--identity-network",
            help="Tell people apart with this ArcFace IR-SE50 file; without it with mien's own small network.",
            show_default=False,
        ),
    ] = None
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

    reference_inverter: Annotated[
        Inverter, Option("--reference-inverter", help="How the reference becomes a code: as --method of mien invert.")
    ] = "encoder"

    previews: Annotated[Path | None, _follow("previews", "--previews")] = None
    preview_every: Annotated[int | None, _follow("preview_every", "--preview-every", least=1)] = None
    state: Annotated[Path | None, _follow("state", "--state")] = None

    def follow(self, *, overwrite: bool) -> FollowConfig:
        """What is written while the style is learned, after a look whether it may be."""
        from mien.finetune.follow import FollowConfig, has_previews

        if self.preview_every is not None and self.previews is None:
            raise InputError("--preview-every needs a folder for the pictures: give one with --previews.")
        going_on = self.state is not None and self.state.exists()
        if self.previews is not None and has_previews(self.previews) and not overwrite and not going_on:
            raise InputError(f"{self.previews} has previews in it: give another folder, or --overwrite to replace them.")
        every = {} if self.preview_every is None else {"preview_every": self.preview_every}
        return FollowConfig(previews=self.previews, state=self.state, **every)

    def config(self) -> FitConfig:
        """The library's configuration."""
        from mien.finetune.fit_config import FitConfig

        if self.identity_network is not None and not self.identity_weight:
            raise InputError("--identity-network is of use with an --identity-weight only: give one, such as 0.01.")
        return FitConfig(
            steps="auto" if self.steps == "auto" else int(self.steps),
            learning_rate=self.learning_rate,
            space="w_plus" if self.space == "w-plus" else "s",
            random_from=self.random_from,
            random_layers=self.random_layers,
            mean_layers=self.mean_layers,
            mask=self.mask,
            family=self.family,
            detail=self.detail,
            one_sided=self.one_sided,
            color=self.color,
            gaze=self.gaze,
            batch=self.batch,
            loss=self.loss,
            identity_weight=self.identity_weight,
            noise=self.noise,
            seed=self.seed,
        )

    def inverter(self) -> InvertConfig | None:
        """How the references become codes; None: as usual."""
        return chosen_inverter(self.reference_inverter)

    def judge(self) -> MobileNetV2 | None:
        """The user's own network for the loss mobilenet-v2, loaded."""
        if self.loss_network is None:
            return None
        from mien.checkpoint.measuring import read_mobilenet_v2

        return read_mobilenet_v2(self.loss_network)

    def identity(self) -> ArcFace | None:
        """The user's own network for the identity loss, loaded; None: mien's own."""
        if self.identity_network is None:
            return None
        from mien.checkpoint import load_identity

        return load_identity(self.identity_network)


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


@dataclass(frozen=True)
class RenderFlags(DrawFlags):
    """How a style is put on a photo."""

    crop: Annotated[bool, Option("--crop", help="Write the square of the face alone; do not paste it back.")] = False
