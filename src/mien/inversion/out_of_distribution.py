"""How far an image lies outside the faces that a model knows: how little its inversion resembles it.

In units of the model's own random faces, so that the number means the same for another model: 0 as one of them resembles its
own inversion, 1 as somebody else's face would do as well. Structure (gray, 16 px, any contrast) and the discriminator's
features count alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import MienWarning
from mien.inversion.density import mapped_codes
from mien.inversion.encode import encode
from mien.inversion.kept import LastOfModel
from mien.latents import broadcast
from mien.losses.features import FrozenFeatures, gray, loss_resolutions
from mien.models.model import Model
from mien.ops import resize

_FACES = 12
# With the embedded model four animals cropped by hand had 0.32 to 0.51, 32 photos at most 0.03, and 26 style images at most
# 0.22, but for two with 0.44 and 0.45.
_FAR = 0.3


@dataclass(frozen=True)
class _Looks:
    """What N images are compared by."""

    structure: Tensor
    """Gray at 16 px around the face, any contrast: [N, 100], unit vectors."""
    features: tuple[Tensor, ...]
    """The discriminator's feature maps, [N, C, h, w]; empty where there is none."""


@dataclass(frozen=True)
class FaceDistribution:
    """The faces that a model knows, as `calibrate` finds them."""

    faces: _Looks
    """K random faces."""
    gap: Tensor
    """[2]: medians of the gaps (structure, features) between these faces and their inversions."""


@dataclass(frozen=True)
class OutOfDistributionScore:
    """How far one image lies outside."""

    value: float
    """How little its inversion resembles it: about 0 for a face of the model, 1 where somebody else's would do as well."""

    @property
    def far(self) -> bool:
        """Whether this is probably nothing that the model can say as a face."""
        return self.value > _FAR


@torch.no_grad()
def calibrate(model: Model, *, seed: int = 0) -> FaceDistribution:
    """What is usual for this model and its encoder: 12 random faces, and how well their inversions resemble them."""
    w = mapped_codes(model.generator, _FACES, seed=seed)
    images = _render(model, broadcast(w, model.generator.num_ws))
    faces, inversions = _looks(model, images), _looks(model, _render(model, encode(model, images).w_plus))
    return FaceDistribution(faces, _gaps(faces, inversions).median(dim=0).values)


_kept = LastOfModel[FaceDistribution]()


def known_faces(model: Model) -> FaceDistribution:
    """What `calibrate` finds, worked out once for as long as the same model, by its weights, is asked for."""
    networks = (model.generator, model.encoder, model.discriminator)
    return _kept.get(networks, (model.generator.mapping.w_avg.device,), lambda: calibrate(model))


@torch.no_grad()
def out_of_distribution_scores(
    model: Model, known: FaceDistribution, images: Tensor, w_plus: Tensor
) -> list[OutOfDistributionScore]:
    """How far each of the aligned `images` [N, 3, R, R] with inversions `w_plus` [N, num_ws, w_dim] lies outside."""
    found = []
    for image, code in zip(torch.split(images, 1), torch.split(w_plus, 1), strict=True):
        looks = _looks(model, image)
        gap = _gaps(looks, _looks(model, _render(model, code)))[0]
        others = _gaps(looks, known.faces).median(dim=0).values
        share = ((gap - known.gap) / (others - known.gap).clamp(min=1e-6)).clamp(-2, 2)
        found.append(OutOfDistributionScore(max(0.0, float(share.mean()))))
    return found


def warn_out_of_distribution(model: Model, images: Tensor, w_plus: Tensor, names: Sequence[str]) -> None:
    """Warn of those of the aligned `images` [N, 3, R, R] that are no faces to the model.

    `w_plus` [N, num_ws, w_dim] is what its encoder says of them; nothing happens if it has none.
    """
    if model.encoder is None:
        return
    found = out_of_distribution_scores(model, known_faces(model), images, w_plus)
    far = [f"{name} ({score.value:.1f})" for score, name in zip(found, names, strict=True) if score.far]
    if far:
        warnings.warn(
            f"To the model, {', '.join(far)} is far from a face (faces score below {_FAR}), and its inversion is unlike "
            "it. If the style comes out badly, use `extreme`, which starts from the mean face.",
            MienWarning,
            stacklevel=3,
        )


def _render(model: Model, w_plus: Tensor) -> Tensor:
    noise = model.generator.synthesis.noise("const")
    return torch.cat([model.generator(code, noise) for code in torch.split(w_plus, 1)]).clamp(-1, 1)


def _looks(model: Model, images: Tensor) -> _Looks:
    structure = _face_structure(images)
    if model.discriminator is None:
        return _Looks(structure, ())
    features = FrozenFeatures(model.discriminator, loss_resolutions(model.resolution))
    each = [features(image) for image in torch.split(images, 1)]
    return _Looks(structure, tuple(torch.cat(maps) for maps in zip(*each, strict=True)))


def _gaps(one: _Looks, others: _Looks) -> Tensor:
    """[N, 2]: 1 - correlation of the structures; L1 distance of the features. `one` may be a single image."""
    structure = 1 - (one.structure * others.structure).sum(dim=1)
    if not one.features:
        return structure[:, None].expand(-1, 2)
    distances = [(f - g).abs().mean(dim=(1, 2, 3)) for f, g in zip(one.features, others.features, strict=True)]
    return torch.stack([structure, torch.stack(distances).mean(dim=0)], dim=1)


def _face_structure(images: Tensor) -> Tensor:
    """[N, 100]: gray values at 16 px of the FFHQ crop's inner face, mean 0 and length 1."""
    small = resize(gray(images)[:, :1], 16)[:, 0, 4:14, 3:13].flatten(1)
    centered = small - small.mean(dim=1, keepdim=True)
    return F.normalize(centered, dim=1, eps=1e-6)
