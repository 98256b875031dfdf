"""The product: learn a style from pictures, apply it to photos, give whole photos back.

stylizer = Stylizer.load()
style = stylizer.fit(["reference.png"])
write_picture("out.png", stylizer.apply(style, "me.jpg").picture)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from mien.checkpoint import load_model
from mien.checkpoint.model_file import generator_digest
from mien.checkpoint.regions_file import Regions
from mien.checkpoint.style_file import Style, thumbnail
from mien.editing import FEATURES, Control, Steering, Strength, feature_masks, random_codes
from mien.editing.control import virtual_codes
from mien.editing.lockstep import render_codes
from mien.errors import InputError, ModelMismatchError
from mien.faces import AlignConfig, CropFrame, extract
from mien.faces.background import as_learned
from mien.faces.feature_strength import eased
from mien.faces.locate import locate
from mien.faces.paste import head_mask, paste_back
from mien.faces.results import Result, StylizedFace
from mien.inversion import Codes, Inversion, InvertConfig, mean_code
from mien.inversion.encode import encode
from mien.inversion.methods import invert as find_codes
from mien.latents import StyleCodes
from mien.losses.extractors import mobilenet_maps
from mien.media.images import Picture, from_tensor, opened, path_of
from mien.models.embedders import Embedder
from mien.models.generator import SynthesisNetwork
from mien.models.mobilenet_v2 import MobileNetV2
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.deltas import apply_changes
from mien.oneshot.encode_references import encode_references
from mien.oneshot.fit import NO_DISCRIMINATOR, learn
from mien.oneshot.random_layers import random_layers
from mien.render_config import RenderConfig
from mien.runtime import Progress, pick_device
from mien.styles import EMBEDDED_MODEL, embedded_model, regions_of


class Stylizer:
    """A face model on a device, ready to learn styles and to apply them."""

    def __init__(self, model: Model, *, device: str | torch.device = "cpu", bf16: bool = False) -> None:
        self.model, self.bf16 = model, bf16
        self.device = torch.device(device)
        for network in (model.generator, model.discriminator, model.encoder):
            if network is not None:
                network.to(self.device).eval().requires_grad_(False)
        self._dtype = torch.bfloat16 if bf16 else torch.float32
        self._tuned: tuple[Style, SynthesisNetwork] | None = None

    @classmethod
    def load(cls, model: str | Path | None = None, *, device: str = "cpu", bf16: bool = False) -> Stylizer:
        """Open a model file; None takes the embedded one."""
        return cls(load_model(model or EMBEDDED_MODEL), device=pick_device(device), bf16=bf16)

    @property
    def resolution(self) -> int:
        """Side of the model's pictures in pixels."""
        return self.model.resolution

    @property
    def digest(self) -> str:
        """The base model's fingerprint, which a style names as its own."""
        if not self.model.provenance.digest:
            self.model.provenance = replace(self.model.provenance, digest=generator_digest(self.model.generator))
        return self.model.provenance.digest

    @cached_property
    def regions(self) -> Regions:
        """Which S channels drive which part of the face: those that come with the model, or found now, in some seconds."""
        return regions_of(self.model.generator, self.digest)

    # -- pictures to codes -------------------------------------------------------------------------------------------------

    def align(self, picture: Picture | str | Path, align: AlignConfig | None = None) -> list[tuple[CropFrame, Tensor]]:
        """The faces of a picture: where each sits, and its aligned crop [3, R, R] at the model's resolution."""
        return [(frame, crop) for frame, crop, _ in self._cut_out(picture, align or AlignConfig())]

    def _cut_out(self, picture: Picture | str | Path, align: AlignConfig) -> list[tuple[CropFrame, Tensor, Tensor]]:
        picture = opened(picture)
        rgb, name = picture.rgb(), str(picture.path or "the picture")
        return [(frame, *extract(rgb, frame, self.resolution)) for frame in locate(rgb, align, name=name)]

    def invert_crops(
        self, crops: Tensor, *, inverter: InvertConfig | None = None, refine_steps: int = 0, fidelity: float = 1.0,
        progress: Progress | None = None,
    ) -> Codes:  # fmt: skip
        """The codes of aligned pictures [N, 3, R, R], as `inverter` finds them (None: the encoder), and then refined.

        Without an encoder, refinement starts at the mean code. `fidelity` 0 looks for no detail map; in between it is eased
        (see `mien.faces.feature_strength`).
        """
        crops, inverter = as_learned(self.model, crops).to(self.device), inverter or InvertConfig()
        inverter = replace(inverter, detail=inverter.detail and fidelity > 0)
        found = find_codes(self.model, crops, inverter, refine_steps=refine_steps, progress=progress)
        return eased(self.model, found, fidelity)

    def invert(
        self, photo: Picture | str | Path, *, align: AlignConfig | None = None, inverter: InvertConfig | None = None,
        refine_steps: int = 0, progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        """The code of one face (the largest, unless `align` says otherwise) and what the base model renders for it."""
        frame, crop = self.align(photo, align or AlignConfig(face="largest"))[0]
        codes = self.invert_crops(crop[None], inverter=inverter, refine_steps=refine_steps, progress=progress)
        detail = None if codes.detail is None else codes.detail.cpu()
        return Inversion(codes.w_plus.cpu(), detail, crop, self.render(codes)[0], frame)

    # -- learning a style --------------------------------------------------------------------------------------------------

    def fit(
        self, references: Sequence[Picture | str | Path], config: OneShotConfig | None = None, *,
        align: AlignConfig | None = None, weights: Sequence[float] | None = None, name: str | None = None,
        identity: Embedder | None = None, loss_network: MobileNetV2 | None = None, control: Control | None = None,
        snapshots: SnapshotConfig | None = None, progress: Progress | None = None,
    ) -> Style:  # fmt: skip
        """Learn a style from one picture, or several of the same style, as `config` says.

        `weights` weigh the references; one given twice counts twice. `identity` is the network of the identity loss (None: the
        one that comes with mien), `loss_network` that of the loss mobilenet-v2. `control` says which parts of the face stay the
        person's and which take the reference's shape, by other codes to learn from (the virtual inverter). `snapshots` asks for
        previews, and a state to resume from. Raises `FaceNotFoundError` and `ModelMismatchError`.
        """
        config = config or OneShotConfig()
        if self.model.discriminator is None:
            raise ModelMismatchError(NO_DISCRIMINATOR)
        if not references:
            raise InputError("A style needs at least one reference picture: give one.")
        if control and config.extreme:
            raise InputError("extreme learns from the mean face alone, so keep and exaggerate change nothing: choose.")
        if (config.loss == "mobilenet-v2") != (loss_network is not None):
            raise InputError("The loss mobilenet-v2 and its network (loss_network, a .tflite file) go together: give both.")
        align = align or AlignConfig(face="largest")
        by_hand = align.box is not None or align.landmarks is not None
        align = AlignConfig(aligned=True) if config.extreme and not by_hand else replace(align, purpose="reference")
        _, crops, valid = zip(*(self._cut_out(reference, align)[0] for reference in references), strict=True)
        files = [path_of(r) for r in references]
        if control and config.random_from == "auto":  # parts are blended in layers that keep the reference's code
            config = replace(config, random_from=f"{min(64, self.resolution)}px")
        given = encode_references(self.model, crops, config, names=[f.name for f in files], valid=valid, weights=weights)
        given = replace(given, part_channels=self.features_in(config.random_layers))
        if control:
            # A feature code says of the reference's shapes what blended codes are to forget.
            given = replace(given, styles=self._virtual_codes(given.w_plus, config, control), feature_codes=None)
        extractor = None if loss_network is None else mobilenet_maps(loss_network.to(self.device))
        gaps, made = learn(
            self.model, given, config, extractor=extractor, identity=identity, dtype=self._dtype, snapshots=snapshots,
            progress=progress,
        )  # fmt: skip
        if control:
            made["control"] = {"keep": dict(control.keep), "exaggerate": dict(control.exaggerate)}
        settings = made | {"extreme": config.extreme, "references": [f.name for f in files], "resolution": self.resolution}
        shown = thumbnail(given.images[: given.count])
        return Style(name or files[0].stem, self.digest, self.resolution, gaps, shown, settings)

    def _virtual_codes(self, w_plus: Tensor, config: OneShotConfig, control: Control) -> StyleCodes:
        if config.space != "s":
            raise InputError("keep and exaggerate blend channels of S: leave out space w_plus.")
        layers = random_layers(self.resolution, config, self.features_in(config.random_layers))
        mean = mean_code(self.model, len(w_plus))
        return virtual_codes(self.model.generator.synthesis, self.regions, control, w_plus, mean, layers)

    def features_in(self, mask: str | None) -> dict[str, dict[str, Tensor]] | None:
        """The channels of the parts of the face that a mask in words names, {part: {S layer: [channels] bool}}, or None."""
        parts = {part.strip().lower() for part in (mask or "").split(",")}
        named = [part for part in FEATURES if part in parts]
        return feature_masks(self.regions, named, self.resolution) if named else None

    # -- applying it -------------------------------------------------------------------------------------------------------

    def apply(
        self, style: Style, photo: Picture | str | Path, config: RenderConfig | None = None, *,
        align: AlignConfig | None = None, progress: Progress | None = None,
    ) -> Result:  # fmt: skip
        """Redraw every face of a photo in the style and put it back in its place, as `config` says.

        `align` says which faces, or where they are; None takes all. Raises `FaceNotFoundError` when there is none and
        `ModelMismatchError` for a style of another model.
        """
        config = config or RenderConfig()
        picture = opened(photo)
        tuned, steering = self._tuned_network(style), self._steering(style, config.control)
        found = self.align(picture, align)
        fidelity = style.fidelity if config.fidelity is None else config.fidelity
        codes = self.invert_crops(
            torch.stack([c for _, c in found]), inverter=config.inversion, refine_steps=config.refine_steps, fidelity=fidelity,
            progress=progress,
        )  # fmt: skip
        before, after = self.render(codes), self.render(codes, tuned, config.strength, steering)
        result = Result(picture, [])
        for (frame, face), inversion, stylized in zip(found, before, after, strict=True):
            result.faces.append(StylizedFace(frame, face, inversion, stylized, frame.side / self.resolution))
            if not config.crop:
                result.picture = paste_back(result.picture, frame, stylized, head_mask(face, stylized))
                result.warn_of_enlargement(frame, self.resolution)
        if config.crop:
            result.picture = from_tensor(result.faces[0].stylized)
        return result

    def draw(self, style: Style, codes: Codes, strength: float | Strength = 1.0) -> Tensor:
        """Pictures [N, 3, R, R] of codes in the style, as `apply` draws them."""
        return self.render(codes, self._tuned_network(style), strength)

    def sample(
        self, count: int, *, seed: int = 0, psi: float = 0.7, style: Style | None = None, strength: float | Strength = 1.0
    ) -> Tensor:
        """Random faces [count, 3, R, R], truncated by `psi`, in the base model's look or in a style."""
        codes = random_codes(self.model.generator, count, seed=seed, psi=psi)
        return torch.stack(list(self.render_each(codes, style, strength)))

    def render_each(
        self, w_plus: Tensor, style: Style | None = None, strength: float | Strength = 1.0, progress: Progress | None = None
    ) -> Iterator[Tensor]:
        """Pictures [3, R, R] of codes [N, num_ws, w_dim], by the base model or in a style, each made when it is asked for.

        A style that was learned from the encoder's codes draws what the encoder says of the model's picture: so it knows faces.
        """
        tuned = self._tuned_network(style) if style else None
        for index, code in enumerate(Codes(w_plus).single()):
            if style is not None and style.settings.get("family") == "encoder":
                if self.model.encoder is None:
                    raise ModelMismatchError(
                        f"The style {style.name!r} was learned from an encoder's codes, and there is none: give --encoder."
                    )
                code = eased(self.model, encode(self.model, self.render(code).clamp(-1, 1).to(self.device)), style.fidelity)
            yield self.render(code, tuned, strength)[0]
            if progress is not None:
                progress(index + 1, len(w_plus), 0.0)

    def _tuned_network(self, style: Style) -> SynthesisNetwork:
        if self._tuned is None or self._tuned[0] is not style:
            style.check_base(self.digest)
            self._tuned = (style, apply_changes(self.model.generator.synthesis, style.changes))
        return self._tuned[1]

    def _steering(self, style: Style, control: Control | None) -> Steering | None:
        if not control:
            return None
        if not control.exaggerate:
            return Steering(self.regions, control)
        if not style.of_pictures:
            raise InputError(f"The style {style.name!r} was not learned from pictures: there is nothing to exaggerate towards.")
        references = as_learned(self.model, style.references()).to(self.device)
        return Steering(self.regions, control, encode(self.model, references).w_plus)

    @torch.inference_mode()
    def render(
        self, codes: Codes, tuned: SynthesisNetwork | None = None, strength: float | Strength = 1.0,
        steering: Steering | None = None,
    ) -> Tensor:  # fmt: skip
        """Pictures [N, 3, R, R] on the CPU, one at a time: the batch does not change the bytes."""
        return render_codes(self.model.generator.synthesis, tuned, codes, strength, steering, self._dtype)


def invert(
    photo: Picture | str | Path, *, model: Model | None = None, align: AlignConfig | None = None,
    inverter: InvertConfig | None = None, refine_steps: int = 0,
) -> Inversion:  # fmt: skip
    """The code of one face (the largest, unless `align` says otherwise), and what the model renders for it.

    `model` is any loaded one; None takes the embedded model. `inverter` says how the code is found; None: by the
    encoder. `refine_steps` improves the answer by optimisation.
    """
    return Stylizer(model or embedded_model()).invert(photo, align=align, inverter=inverter, refine_steps=refine_steps)
