"""The options of learning a style. What a setting means is said once, on its configuration field, and read from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from typer import BadParameter, Option

from mien.cli.options import Inverter, told
from mien.config import settings_in_source
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.models.embedders import ArcFace
    from mien.models.mobilenet_v2 import MobileNetV2
    from mien.oneshot.config import OneShotConfig, SnapshotConfig

_FIT = settings_in_source("mien.oneshot.config", "OneShotConfig")
_SNAPSHOTS = settings_in_source("mien.oneshot.config", "SnapshotConfig")


def _fit(name: str, *flags: str, least: float | None = None, check: Callable[[str], str] | None = None) -> Any:
    return told(_FIT[name], *flags, least=least, check=check)


def _steps(text: str) -> str:
    if text != "auto" and not str(text).isdecimal():
        raise BadParameter(f"'{text}' is neither a number of steps from 0 nor auto.")
    return text


def _snapshot(name: str, *flags: str, least: float | None = None) -> Any:
    return told(_SNAPSHOTS[name], *flags, least=least)


def _default(name: str) -> Any:
    return _FIT[name].default


@dataclass(frozen=True)
class FitFlags:
    """How a style is learned."""

    PANEL: ClassVar[str] = "Learning the style"

    steps: Annotated[str, _fit("steps", "--steps", check=_steps)] = str(_default("steps"))
    learning_rate: Annotated[float, _fit("learning_rate", "--learning-rate", least=0)] = _default("learning_rate")
    mixing_latents: Annotated[Literal["auto", "mapping", "encoder"], _fit("mixing_latents", "--mixing-latents")] = _default(
        "mixing_latents"
    )
    feature_code: Annotated[float, _fit("feature_code", "--feature-code", least=0)] = _default("feature_code")
    mirror: Annotated[bool, _fit("mirror", "--mirror/--no-mirror")] = _default("mirror")
    color: Annotated[Literal["reference", "photo"], _fit("color", "--color", "--colour")] = _default("color")
    gaze: Annotated[Literal["reference", "photo"], _fit("gaze", "--gaze")] = _default("gaze")
    space: Annotated[Literal["s", "w-plus"], _fit("space", "--space")] = "s"
    random_from: Annotated[str, _fit("random_from", "--random-from")] = _default("random_from")
    random_layers: Annotated[str | None, _fit("random_layers", "--random-layers")] = _default("random_layers")
    mean_layers: Annotated[str | None, _fit("mean_layers", "--mean-layers")] = _default("mean_layers")
    random_rows: Annotated[str, _fit("random_rows", "--random-rows")] = _default("random_rows")
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
    extreme: Annotated[bool, _fit("extreme", "--extreme")] = _default("extreme")
    refine_reference: Annotated[int | None, _fit("refine_reference", "--refine-reference", least=0)] = _default(
        "refine_reference"
    )
    reference_inverter: Annotated[Inverter, _fit("reference_inverter", "--reference-inverter")] = "encoder"
    noise_strengths: Annotated[Literal["nonzero", "all"], _fit("noise_strengths", "--noise-strengths")] = _default(
        "noise_strengths"
    )

    previews: Annotated[Path | None, _snapshot("previews", "--previews")] = None
    preview_every: Annotated[int | None, _snapshot("preview_every", "--preview-every", least=1)] = None
    state: Annotated[Path | None, _snapshot("state", "--state")] = None

    def snapshots(self, *, overwrite: bool) -> SnapshotConfig:
        """What is written while the style is learned, after a look whether it may be."""
        from mien.oneshot.callbacks import has_previews
        from mien.oneshot.config import SnapshotConfig

        if self.preview_every is not None and self.previews is None:
            raise InputError("--preview-every needs a folder for the pictures: give one with --previews.")
        going_on = self.state is not None and self.state.exists()
        if self.previews is not None and has_previews(self.previews) and not overwrite and not going_on:
            raise InputError(f"{self.previews} has previews in it: give another folder, or --overwrite to replace them.")
        every = {} if self.preview_every is None else {"preview_every": self.preview_every}
        return SnapshotConfig(previews=self.previews, state=self.state, **every)

    def config(self) -> OneShotConfig:
        """The library's configuration."""
        from mien.oneshot.config import OneShotConfig

        if self.identity_network is not None and not self.identity_weight:
            raise InputError("--identity-network is of use with an --identity-weight only: give one, such as 0.01.")
        return OneShotConfig(
            steps="auto" if self.steps == "auto" else int(self.steps),
            learning_rate=self.learning_rate,
            space="w_plus" if self.space == "w-plus" else "s",
            random_from=self.random_from,
            random_layers=self.random_layers,
            mean_layers=self.mean_layers,
            random_rows=self.random_rows,
            mixing_latents=self.mixing_latents,
            feature_code=self.feature_code,
            mirror=self.mirror,
            color=self.color,
            gaze=self.gaze,
            extreme=self.extreme,
            reference_inverter=self.reference_inverter,
            refine_reference=self.refine_reference,
            batch=self.batch,
            loss=self.loss,
            identity_weight=self.identity_weight,
            noise=self.noise,
            noise_strengths=self.noise_strengths,
            seed=self.seed,
        )

    def judge(self) -> MobileNetV2 | None:
        """The user's own network for the loss mobilenet-v2, loaded."""
        if self.loss_network is None:
            return None
        from mien.checkpoint.face_networks import read_mobilenet_v2

        return read_mobilenet_v2(self.loss_network)

    def identity(self) -> ArcFace | None:
        """The user's own network for the identity loss, loaded; None: mien's own."""
        if self.identity_network is None:
            return None
        from mien.checkpoint import load_identity

        return load_identity(self.identity_network)
