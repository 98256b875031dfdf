"""A face model on a device: photos to codes, codes to images. The base class of `Stylizer`."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mien.checkpoint import load_model
from mien.checkpoint.load import load_encoder_for
from mien.checkpoint.model_file import generator_digest
from mien.checkpoint.regions_file import Regions
from mien.editing import Steering, Strength
from mien.editing.lockstep import render_codes
from mien.editing.regions import find_regions, mean_face_points
from mien.errors import InputError
from mien.faces import AlignConfig
from mien.faces.background import as_learned
from mien.faces.feature_strength import weigh_feature_code
from mien.faces.locate import align_faces
from mien.faces.results import AlignedPhoto
from mien.inversion import Codes, Inversion, InvertConfig
from mien.inversion.methods import invert as find_codes
from mien.media.image_input import ImageLike, as_image
from mien.models.generator import SynthesisNetwork
from mien.models.model import Model, frozen
from mien.render_config import RenderConfig
from mien.runtime import Progress, pick_device, pick_dtype
from mien.styles import find_model, regions_of

Own = TypeVar("Own", bound="FaceModel")


class FaceModel:
    """A face model on a device, which inverts photos and renders codes."""

    def __init__(
        self, model: Model | str | Path | None = None, *, device: str | torch.device | None = None,
        dtype: str | torch.dtype = "float32",
    ) -> None:  # fmt: skip
        """Take a model, or open one as `load` does (None: the one that ships with mien).

        A loaded model stays as it is: where it has to be moved or frozen, this object has a copy of its own. `device` None
        leaves it where it is, and takes the best device for one that is opened. `dtype` is the number type of the convolutions:
        float32 is exact, bfloat16 is quicker where the processor has it.
        """
        if not isinstance(model, Model):
            device = pick_device(str(device or "auto"))  # one that is not there is reported before anything is read
            model = load_model(find_model(model))
        self.model = frozen(model, None if device is None else pick_device(str(device)))
        self.dtype = pick_dtype(str(dtype).removeprefix("torch."))
        self._known: WeakKeyDictionary[AlignedPhoto, dict[tuple[InvertConfig, int], Codes]] = WeakKeyDictionary()

    @classmethod
    def load(
        cls: type[Own], model: str | Path | None = None, *, encoder: str | Path | None = None,
        device: str | torch.device = "auto", dtype: str | torch.dtype = "float32",
    ) -> Own:  # fmt: skip
        """Open a model by a name of `mien.list_models()` or a file; None takes the one that ships with mien.

        `encoder` is another encoder for it (e4e, pSp or ReStyle), likewise. `device` auto takes CUDA, then Apple's MPS, then
        the CPU. Raises `CheckpointError` for a file that is not a model, `InputError` for a device that is not available.
        """
        place = pick_device(str(device))  # a device that is not there is told before anything is read
        loaded = load_model(find_model(model))
        if encoder is not None:
            loaded.encoder = load_encoder_for(loaded.generator, encoder)
        return cls(loaded, device=place, dtype=dtype)

    def __repr__(self) -> str:
        name = self.model.provenance.name
        return f"{type(self).__name__}({name!r}, {self.resolution} px, {self.device})"

    from_pretrained = load
    """What diffusers and transformers call `load`."""

    def to(self: Own, device: str | torch.device) -> Own:
        """Move to another device, such as cuda; returns itself."""
        self.model = frozen(self.model, pick_device(str(device)))
        self._known.clear()
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.generator.mapping.w_avg.device

    @property
    def resolution(self) -> int:
        """Side of the model's images in pixels."""
        return self.model.resolution

    @property
    def digest(self) -> str:
        """The base model's fingerprint, which its styles store."""
        if not self.model.provenance.digest:
            self.model.provenance = replace(self.model.provenance, digest=generator_digest(self.model.generator))
        return self.model.provenance.digest

    @cached_property
    def regions(self) -> Regions:
        """Which S channels drive which part of the face: those that come with the model, or computed now, in a few seconds."""
        return regions_of(self.model.generator, self.digest)

    def find_regions(self, *, seed: int = 0, progress: Progress | None = None) -> Regions:
        """Compute which S channels drive which part of the face, from random faces of `seed`, in about a minute.

        Set as `regions`, or saved for `mien fit --regions`.
        """
        generator = self.model.generator
        return find_regions(generator, self.digest, mean_face_points(generator), seed=seed, progress=progress)

    # -- images to codes -------------------------------------------------------------------------------------------------

    def align(self, photo: ImageLike | AlignedPhoto, align: AlignConfig | None = None) -> AlignedPhoto:
        """Find the faces of a photo, the largest first, and cut them out at the model's resolution.

        The result can be given wherever a photo can. It is not searched again, and its codes are computed once for the same
        settings, for any number of styles and strengths. Raises `FaceNotFoundError`.
        """
        if isinstance(photo, AlignedPhoto):
            return photo
        image = as_image(photo)
        return AlignedPhoto(image, align_faces(image, align, size=self.resolution))

    def invert_crops(
        self, crops: Tensor, *, inverter: InvertConfig | None = None, refine_steps: int = 0, fidelity: float = 1.0,
        progress: Progress | None = None,
    ) -> Codes:  # fmt: skip
        """The codes of aligned images [N, 3, R, R], as `inverter` finds them (None: the encoder), and then refined.

        Without an encoder, refinement starts at the mean code. `fidelity` 0 looks for no feature code; in between it
        counts less outside the face (see `mien.faces.feature_strength`).
        """
        found = self._invert(crops, _asked(inverter, fidelity), refine_steps, progress)
        return weigh_feature_code(self.model, found, fidelity)

    def invert_faces(
        self, photo: AlignedPhoto, config: RenderConfig, *, fidelity: float, progress: Progress | None = None
    ) -> Codes:
        """The codes of all faces of a photo as `invert_crops` finds them; the second time they are known."""
        inverter, known = _asked(config.inversion, fidelity), self._known.setdefault(photo, {})
        key = (inverter, config.refine_steps)
        if key not in known:
            crops, heads = (torch.stack(each) for each in zip(*((f.crop, f.head) for f in photo.faces), strict=True))
            known[key] = self._invert(crops, inverter, config.refine_steps, progress, heads)
        return weigh_feature_code(self.model, known[key], fidelity)

    def _invert(
        self, crops: Tensor, inverter: InvertConfig, refine_steps: int, progress: Progress | None, heads: Tensor | None = None
    ) -> Codes:
        crops = as_learned(self.model, crops, heads).to(self.device)
        return find_codes(self.model, crops, inverter, refine_steps=refine_steps, progress=progress, dtype=self.dtype)

    def invert(
        self, photo: ImageLike | AlignedPhoto, config: RenderConfig | None = None, *, align: AlignConfig | None = None,
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        """The code of one face (the largest, unless `align` says otherwise) and what the base model renders for it.

        Only the inverter and `refine_steps` of `config` are used.
        """
        config, face = config or RenderConfig(), self.align(photo, (align or AlignConfig()).one()).faces[0]
        codes = self.invert_crops(
            face.crop[None], inverter=config.inversion, refine_steps=config.refine_steps, progress=progress
        )
        feature_code = None if codes.feature_code is None else codes.feature_code.cpu()
        return Inversion(codes.w_plus.cpu(), feature_code, face.crop, self.render(codes)[0], face.frame)

    @torch.inference_mode()
    def render(
        self, codes: Codes, tuned: SynthesisNetwork | None = None, strength: float | Strength = 1.0,
        steering: Steering | None = None,
    ) -> Tensor:  # fmt: skip
        """Images [N, 3, R, R] on the CPU, one at a time: the batch does not change the bytes.

        Raises `InputError`, which names the model or style, where numbers become infinite.
        """
        drawn = render_codes(self.model.generator.synthesis, tuned, codes, strength, steering, self.dtype)
        if not bool(drawn.isfinite().all()):
            raise InputError(
                f"{self.name_of(tuned)} draws an image with numbers that are not finite: use less `strength`, or another one."
            )
        return drawn

    def name_of(self, tuned: SynthesisNetwork | None) -> str:
        """The name of the model or style that draws, for messages."""
        name = self.model.provenance.name
        return f"The model {name!r}" if name else "The model"


def _asked(inverter: InvertConfig | None, fidelity: float) -> InvertConfig:
    """The inverter, without a feature code where it has no weight."""
    inverter = inverter or InvertConfig()
    return replace(inverter, feature_code=inverter.feature_code and fidelity > 0)
