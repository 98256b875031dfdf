"""The generator as a mapper: encoder with feature code, the tuned generator, head masks; all of it tensor operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.checkpoint.face_networks import read_head_mask_network
from mien.checkpoint.model_file import generator_digest
from mien.checkpoint.style_file import StyleFile
from mien.errors import ModelMismatchError
from mien.faces.feature_strength import feature_shares
from mien.faces.head_mask import covering_mask, fading
from mien.inversion import mean_code
from mien.latents import USUAL_FIDELITY, Codes
from mien.mappers.fast_head_mask import FastHeadMask, Softening
from mien.mappers.folded import FoldedSynthesis, LayerWeights
from mien.mappers.interface import Mapped, Seen
from mien.mappers.resampling import resizing
from mien.models.compact_encoder import CompactEncoder
from mien.models.model import Model, frozen
from mien.oneshot.deltas import apply_deltas


class GeneratorMapper(nn.Module):
    """A model and a style as a `Mapper`: what `Stylizer.apply` draws without refinement, at the cost of a frame.

    At strength 0 and 1 faces differ from those of `apply` only as far as the quick mask of the background does from the careful
    one; in between weights are interpolated instead of features.
    """

    mean_code: Tensor

    def __init__(self, model: Model, style: StyleFile | None = None, *, dtype: torch.dtype = torch.float32) -> None:
        """Work out all that is constant. `style` None draws the base model's faces; `dtype` is that of the convolutions.

        Raises `ModelMismatchError` for a style of another model, and for a model without an encoder that looks once.
        """
        super().__init__()
        model = frozen(model)
        if style is not None:
            style.check_base(model.provenance.digest or generator_digest(model.generator))
        if not isinstance(model.encoder, CompactEncoder) or model.encoder.config.iterations > 1:
            raise ModelMismatchError(
                "Real time needs an encoder of mien's own that looks once, which this model has not: use `apply` with it."
            )
        self.size, self.dtype, self.blurred_background = model.resolution, dtype, model.blurred_background
        self.usual_fidelity = USUAL_FIDELITY if style is None else style.fidelity
        self.heads = FastHeadMask(read_head_mask_network(), self.size)
        self.encoder = model.encoder if dtype == torch.float32 else frozen_as(model.encoder, dtype)
        looked_at = model.encoder.config.resolution
        self.to_encoder = resizing(self.size, looked_at, "bicubic")
        self.soften = Softening(looked_at)
        self.keep = resizing(self.heads.size, looked_at, "bilinear")
        self.enlarge = resizing(self.heads.size, self.size, "bilinear")
        self.register_buffer("mean_code", mean_code(model), persistent=False)
        base = model.generator.synthesis
        self.synthesis = FoldedSynthesis(base, base if style is None else apply_deltas(base, style.deltas))
        self._ready: tuple[float, tuple[Tensor, list[LayerWeights]]] | None = None
        self.requires_grad_(False).eval()

    @torch.inference_mode()
    def forward(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """See `Mapper`."""
        return self.draw(self.encode(crops), strength=strength, fidelity=fidelity)

    @torch.inference_mode()
    def encode(self, crops: Tensor) -> Seen:
        """Codes and heads of crops [N, 3, S, S] in [-1, 1], whose background is softened here."""
        own = self.heads(crops)
        return Seen(Codes(*self.look(crops, own)), own)

    @torch.inference_mode()
    def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        """Faces with these codes, to be pasted over the crops that have these heads."""
        if self._ready is None or self._ready[0] != strength:
            self._ready = strength, self.synthesis.at(strength, self.dtype)
        eased = self.ease(seen.codes.feature_code, self.usual_fidelity if fidelity is None else fidelity)
        faces = self.synthesis(seen.codes.w_plus, eased, self._ready[1]).clamp(-1, 1)
        return Mapped(faces, self.cover(seen.heads, faces))

    def look(self, crops: Tensor, own: Tensor) -> tuple[Tensor, Tensor | None]:
        """W+ codes and feature codes of crops with the head masks `own`, in tensor operations alone."""
        seen = self.to_encoder(crops).clamp(-1, 1)
        if self.blurred_background:
            seen = self.soften(seen, self.keep(fading(own)))
        w_plus, feature_code = self.encoder.look(seen.to(self.dtype), self.mean_code)
        return w_plus.float(), None if feature_code is None else feature_code.float()

    def ease(self, feature_code: Tensor | None, fidelity: float | Tensor) -> Tensor | None:
        """The feature code as far as `fidelity` lets it be drawn."""
        if feature_code is None:
            return None
        return feature_code * (
            feature_shares(fidelity, feature_code.shape[-1]).to(feature_code) if self.blurred_background else fidelity
        )

    def cover(self, own: Tensor, faces: Tensor) -> Tensor:
        """What faces are to cover of crops with the head masks `own`."""
        covered: Tensor = self.enlarge(covering_mask(own, self.heads(faces)))
        return covered.clamp(0, 1)


def frozen_as(encoder: CompactEncoder, dtype: torch.dtype) -> CompactEncoder:
    """A copy of an encoder in another number type."""
    copy = CompactEncoder(encoder.config)
    copy.load_state_dict(encoder.state_dict())
    return copy.to(dtype).eval().requires_grad_(False)
