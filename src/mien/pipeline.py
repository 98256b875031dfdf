"""The product: learn a style from images, apply it to photos, return whole photos.

pipe = mien.Stylizer.load()
style = pipe.fit("reference.png")
pipe(style, "me.jpg").save("out.png")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor

from mien.checkpoint.style_file import thumbnail
from mien.checkpoint.upscaler_weights import upscaler_is_installed
from mien.config import changed
from mien.editing import FEATURES, Control, Steering, Strength, feature_masks
from mien.editing.control import virtual_codes
from mien.errors import InputError, ModelMismatchError
from mien.face_model import FaceModel
from mien.faces import AlignConfig
from mien.faces.blend import blend_face
from mien.faces.feature_strength import weigh_feature_code
from mien.faces.locate import of_the_reference
from mien.faces.photo_colors import towards_photo
from mien.faces.results import AlignedPhoto, Result, StylizedFace, note_lighter_skin, note_little, note_softness
from mien.faces.surroundings import restyle_surroundings
from mien.faces.upscale import MISSING, upscale_factor, upscaled
from mien.inversion import Codes, mean_code
from mien.inversion.encode import encode
from mien.latents import StyleCodes
from mien.map_faces import map_faces
from mien.mappers import Mapper, open_mapper
from mien.mappers.config import Engine
from mien.media.image_input import ImageLike, as_image, as_images, pil_from_tensor
from mien.media.images import from_tensor
from mien.metrics.color import skin_color
from mien.models.embedders import Embedder
from mien.models.generator import SynthesisNetwork
from mien.models.sampling import random_codes
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.deltas import apply_deltas
from mien.oneshot.encode_references import encode_references
from mien.oneshot.fit import NO_DISCRIMINATOR, learn
from mien.oneshot.layer_masks import random_layers
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.styles import GraphStyle, Style, StyleLike, is_style

_OF_LEARNING = {f.name: f"`{f.name}` says how a style is learned: give it to `fit`." for f in fields(OneShotConfig)}
# Drawing takes no random numbers: what diffusers calls its seed or generator has nothing to do here.
_OF_LEARNING |= {"generator": "drawing takes no random numbers, so the same call gives the same image."}


class Stylizer(FaceModel):
    """A face model on a device, ready to learn styles and to apply them to photos.

    >>> pipe = mien.Stylizer.load()
    >>> result = pipe("ink", "me.jpg", mien.RenderConfig(strength=0.8))
    >>> result.save("out.png")
    """

    identity_network: Embedder | None = None
    """The network of the identity loss; None: mien's own."""
    _tuned: tuple[Style, SynthesisNetwork] | None = None
    _mapped: tuple[Style, Engine | None, Mapper] | None = None

    def to(self, device: str | torch.device) -> Stylizer:
        """Move to another device, such as cuda; returns itself."""
        self._tuned = None
        return super().to(device)

    # -- learning a style --------------------------------------------------------------------------------------------------

    def fit(
        self, references: ImageLike | Sequence[ImageLike], config: OneShotConfig | None = None, *,
        align: AlignConfig | None = None, weights: Sequence[float] | None = None, name: str | None = None,
        control: Control | None = None, snapshots: SnapshotConfig | None = None, progress: Progress | None = None,
        **settings: Any,
    ) -> Style:  # fmt: skip
        """Learn a style from one image, or several of the same style, as `config` says.

        `settings` are those of `config` by name, as in `steps=200`. `weights` weigh the references; one given twice counts
        twice. `control` says which parts of the face stay the person's and which take the reference's shape, by other codes to
        learn from (the virtual inverter). `snapshots` asks for previews, and a state to resume from. Raises
        `FaceNotFoundError` and `ModelMismatchError`.
        """
        config = changed(config or OneShotConfig(), settings)
        if self.model.discriminator is None:
            raise ModelMismatchError(NO_DISCRIMINATOR)
        given_images = as_images(references)
        if not given_images:
            raise InputError("A style needs at least one reference image: give one.")
        if control and config.extreme:
            raise InputError("`extreme` learns from the mean face alone, without `keep` and `exaggerate`: choose one.")
        align = align or AlignConfig()
        by_hand = align.box is not None or align.landmarks is not None
        where = AlignConfig(aligned=True) if config.extreme and not by_hand else align.one()
        with of_the_reference(align):
            faces = [self.align(image, where).faces[0] for image in given_images]
        crops, valid = [face.crop for face in faces], [face.valid for face in faces]
        files = [image.path or Path("image") for image in given_images]
        if control and config.random_from == "auto":  # parts are blended in layers that keep the reference's code
            config = replace(config, random_from=f"{min(64, self.resolution)}px")
        given = encode_references(
            self.model, crops, config, names=[f.name for f in files], valid=valid, weights=weights, dtype=self.dtype
        )
        given = replace(given, part_channels=self.features_in(config.random_layers))
        if control:
            # A feature code says of the reference's shapes what blended codes are to forget.
            given = replace(given, styles=self._virtual_codes(given.w_plus, config, control), feature_codes=None)
        deltas, made = learn(
            self.model, given, config, identity=self.identity_network, dtype=self.dtype, snapshots=snapshots,
            progress=progress,
        )  # fmt: skip
        if control:
            made["control"] = {"keep": dict(control.keep), "exaggerate": dict(control.exaggerate)}
        settings = made | {"extreme": config.extreme, "references": [f.name for f in files], "resolution": self.resolution}
        shown = thumbnail(given.images[: given.count])
        codes = given.w_plus[: given.count].half().cpu()
        return Style(name or files[0].stem, self.digest, self.resolution, deltas, shown, settings, codes)

    def _virtual_codes(self, w_plus: Tensor, config: OneShotConfig, control: Control) -> StyleCodes:
        if config.space != "s":
            raise InputError("`keep` and `exaggerate` blend channels of S: leave out `space` w_plus.")
        layers = random_layers(self.resolution, config, self.features_in(config.random_layers))
        mean = mean_code(self.model, len(w_plus))
        return virtual_codes(self.model.generator.synthesis, self.regions, control, w_plus, mean, layers)

    def features_in(self, mask: str | None) -> dict[str, dict[str, Tensor]] | None:
        """The channels of the parts of the face that a mask in words names, {part: {S layer: [channels] bool}}, or None."""
        parts = {part.strip().lower() for part in (mask or "").split(",")}
        named = [part for part in FEATURES if part in parts]
        return feature_masks(self.regions, named, self.resolution) if named else None

    # -- applying it -------------------------------------------------------------------------------------------------------

    @overload
    def __call__(
        self, style: StyleLike, photo: ImageLike | AlignedPhoto, config: RenderConfig | None = None, /, *,
        align: AlignConfig | None = None, progress: Progress | None = None, **settings: Any,
    ) -> Result: ...  # fmt: skip

    @overload
    def __call__(
        self, style: StyleLike, photos: list[ImageLike | AlignedPhoto], config: RenderConfig | None = None, /, *,
        align: AlignConfig | None = None, progress: Progress | None = None, **settings: Any,
    ) -> list[Result]: ...  # fmt: skip

    @overload
    def __call__(
        self, photo: ImageLike | AlignedPhoto, /, *, style: StyleLike, config: RenderConfig | None = None,
        align: AlignConfig | None = None, progress: Progress | None = None, **settings: Any,
    ) -> Result: ...  # fmt: skip

    def __call__(  # type: ignore[misc]  # a setting by name cannot be a style as well
        self, *given: Any, style: StyleLike | None = None, config: RenderConfig | None = None,
        align: AlignConfig | None = None, progress: Progress | None = None, **settings: Any,
    ) -> Result | list[Result]:  # fmt: skip
        """Redraw every face of a photo in a style: `pipe(style, photo)` or `pipe(photo, style="ink")`; see `apply`.

        A list of photos makes a list of results. `settings` are those of `config` by name, as in `strength=0.8`.
        """
        given = given if style is None else (style, *given)
        if not 2 <= len(given) <= 3:
            raise InputError('A style and a photo are needed, as in pipe("ink", "me.jpg").')
        if is_style(given[1]) and not is_style(given[0]):  # the photo first, as most pipelines have it
            given = (given[1], given[0], *given[2:])
        chosen = changed((given[2] if len(given) == 3 else config) or RenderConfig(), settings, _OF_LEARNING)
        look = self.style(given[0])
        if isinstance(given[1], (list, tuple)):
            return [self.apply(look, photo, chosen, align=align, progress=progress) for photo in given[1]]
        return self.apply(look, given[1], chosen, align=align, progress=progress)

    def apply(
        self, style: StyleLike, photo: ImageLike | AlignedPhoto, config: RenderConfig | None = None, *,
        align: AlignConfig | None = None, progress: Progress | None = None,
    ) -> Result:  # fmt: skip
        """Redraw every face of a photo in the style and put it back in its place, as `config` says.

        `align` says which faces, or where they are; None takes all, and for a crop the largest. Raises
        `FaceNotFoundError` when there is none and `ModelMismatchError` for a style of another model.
        """
        config, style = config or RenderConfig(), self.style(style)
        mapped = isinstance(style, GraphStyle) or config.engine not in (None, "torch")
        tuned, steering = (None, None) if mapped else (self._tuned_network(style), self._steering(style, config.control))
        photo = self.align(photo, (align or AlignConfig()).one() if config.crop else align)
        if mapped:
            drawn, inversions = map_faces(self._mapper(style, config.engine), photo, config)
        else:
            fidelity = style.fidelity if config.fidelity is None else config.fidelity
            codes = self.invert_faces(photo, config, fidelity=fidelity, progress=progress)
            drawn = self.render(codes, tuned, config.strength, steering)
            inversions = [partial(self._inversion, code) for code in codes.single()]
        pairs = zip(drawn, photo.faces, strict=True)
        drawn = torch.stack([towards_photo(stylized, face.crop, config.photo_color) for stylized, face in pairs])
        around = photo.image_data if config.crop else restyle_surroundings(photo, drawn, config.surroundings)
        result = Result(around, [], original=photo.image_data)
        for face, inversion, stylized in zip(photo.faces, inversions, drawn, strict=True):
            one = StylizedFace(face.frame, face.crop, face.head, stylized, face.frame.side / self.resolution, inversion)
            result.faces.append(one)
            note_little(result, face)
            note_lighter_skin(result, *skin_color(torch.stack([face.crop, stylized]))[:, 0].tolist())
            if not config.crop:
                factor = upscale_factor(config.upscale, one.scale)
                result.image_data = blend_face(result.image_data, one, factor=factor, hair=config.hair, dtype=self.dtype)
                missing = MISSING if config.upscale == "auto" and not upscaler_is_installed() and not result.notes else ""
                note_softness(result, one, factor, missing=missing)
        if config.crop:
            one = result.faces[0]
            result.image_data = from_tensor(upscaled(one.stylized, upscale_factor(config.upscale, one.scale), dtype=self.dtype))
            side = result.image_data.width, result.image_data.height
            result.original = as_image(pil_from_tensor(one.crop).resize(side, Image.Resampling.LANCZOS))
        if config.strip_metadata:
            result.image_data = replace(result.image_data, exif=None)
        return result

    def _inversion(self, codes: Codes) -> Tensor:
        return self.render(codes)[0]

    def mapper(self, style: StyleLike, engine: Engine | None = None, dtype: torch.dtype | None = None) -> Mapper:
        """A style or an exported graph as a mapper, run by `engine`; see `mien.mappers.open_mapper`."""
        given, kind = self.style(style), dtype or self.dtype
        return given.graph.by(engine, kind) if isinstance(given, GraphStyle) else open_mapper(given, self.model, engine, kind)

    def _mapper(self, style: Style, engine: Engine | None) -> Mapper:
        if self._mapped is None or self._mapped[0] is not style or self._mapped[1] != engine:
            self._mapped = style, engine, self.mapper(style, engine)
        return self._mapped[2]

    def style(self, style: StyleLike) -> Style:
        """The style itself, or the one of that name or file."""
        return style if isinstance(style, Style) else Style.load(style, self.model)

    def draw(self, style: Style, codes: Codes, strength: float | Strength = 1.0) -> Tensor:
        """Images [N, 3, R, R] of codes in the style, as `apply` draws them."""
        return self.render(codes, self._tuned_network(style), strength)

    def sample(
        self, count: int = 1, *, seed: int = 0, psi: float = 0.7, style: StyleLike | None = None,
        strength: float | Strength = 1.0,
    ) -> list[Image.Image]:  # fmt: skip
        """Random synthetic faces, truncated by `psi`, in the base model's look or in a style, as PIL images."""
        codes = random_codes(self.model.generator, count, seed=seed, psi=psi)
        look = None if style is None else self.style(style)
        return [pil_from_tensor(image) for image in self.render_each(codes, look, strength)]

    def render_each(
        self, w_plus: Tensor, style: Style | None = None, strength: float | Strength = 1.0, progress: Progress | None = None
    ) -> Iterator[Tensor]:
        """Images [3, R, R] of codes [N, num_ws, w_dim], by the base model or in a style, one at a time.

        A style that was learned from the encoder's codes draws the encoder's inversion of the model's image, as in photos.
        """
        tuned = self._tuned_network(style) if style else None
        for index, code in enumerate(Codes(w_plus).single()):
            if style is not None and style.settings.get("family") == "encoder":
                if self.model.encoder is None:
                    raise ModelMismatchError(
                        f"The style {style.name!r} was learned from codes of an encoder, and the model has none: give one."
                    )
                code = weigh_feature_code(
                    self.model, encode(self.model, self.render(code).clamp(-1, 1).to(self.device)), style.fidelity
                )
            yield self.render(code, tuned, strength)[0]
            if progress is not None:
                progress(index + 1, len(w_plus), 0.0)

    def name_of(self, tuned: SynthesisNetwork | None) -> str:
        """The name of the model or style that draws, for messages."""
        if self._tuned is not None and self._tuned[1] is tuned:
            return f"The style {self._tuned[0].name!r}"
        return super().name_of(tuned)

    def _tuned_network(self, style: Style) -> SynthesisNetwork:
        held = self._tuned  # looked at once: other threads may draw in other styles meanwhile
        if held is None or held[0] is not style:
            style.check_base(self.digest)
            self._tuned = held = (style, apply_deltas(self.model.generator.synthesis, style.deltas))
        return held[1]

    def _steering(self, style: Style, control: Control | None) -> Steering | None:
        if not control:
            return None
        if not control.exaggerate:
            return Steering(self.regions, control)
        if not style.of_images:
            raise InputError(f"The style {style.name!r} was not learned from images: there is nothing to exaggerate towards.")
        codes, generator = style.reference_codes, self.model.generator
        if codes is None:
            raise InputError(f"The style {style.name!r} keeps no codes of its references: learn it again to exaggerate.")
        if codes.shape[1:] != (generator.num_ws, generator.config.w_dim):
            raise ModelMismatchError(f"The style {style.name!r} has codes of another model: get the file again.")
        return Steering(self.regions, control, codes.float().to(self.device))
