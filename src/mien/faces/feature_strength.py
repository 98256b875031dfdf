"""How much of a face's feature code is drawn, and where.

The feature code holds what W+ cannot express. In the face that is identity; outside it, the outline of hair and ears, but also
strands and folds of cloth, which a small model draws as worm-like lines. So its weight is lower outside the face.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mien.latents import Codes
from mien.models.model import Model

# In the FFHQ frame eyes, mouth and chin have their places: center and radii of an ellipse around them, in sides of the image.
_CENTRE, _RADII = (0.5, 0.58), (0.27, 0.36)
_STEEPNESS = 8.0
_EYES_ACROSS, _EYES_HEIGHT, _EYE_RADII, _EYE_STEEPNESS = (0.385, 0.615), 0.475, (0.10, 0.075), 6.0
_OUTSIDE = 2  # fidelity to this power outside the face: 1 stays 1, 0.7 becomes 0.49


def weigh_feature_code(model: Model, codes: Codes, fidelity: float) -> Codes:
    """Codes with the feature code times `fidelity` in the face and less outside; 0 leaves W+ alone, 1 everything as it is.

    For a model that was not trained on blurred backgrounds
    (`Model.blurred_background`) it is `fidelity` everywhere.
    """
    if codes.feature_code is None or not model.blurred_background or fidelity in (0.0, 1.0):
        return codes.scaled(fidelity)
    return replace(
        codes, feature_code=codes.feature_code * feature_shares(fidelity, codes.feature_code.shape[-1]).to(codes.feature_code)
    )


def feature_shares(fidelity: float | Tensor, size: int) -> Tensor:
    """How much of a feature code is drawn, [size, size]: `fidelity` in the face, less outside unless it is 0 or 1."""
    outside = fidelity**_OUTSIDE
    return outside + (fidelity - outside) * _face(size)


def _face(size: int) -> Tensor:
    """1 in the face, 0 outside, soft between: [size, size]."""
    place = (torch.arange(size) + 0.5) / size
    x, y = (place - _CENTRE[0]) / _RADII[0], (place - _CENTRE[1]) / _RADII[1]
    return torch.sigmoid((1 - (x.square()[None] + y.square()[:, None]).sqrt()) * _STEEPNESS)


def eyes(size: int) -> Tensor:
    """1 in the eyes, 0 outside, soft between: [size, size]."""
    place = (torch.arange(size) + 0.5) / size
    y = (place - _EYES_HEIGHT) / _EYE_RADII[1]
    apart = [((place - x) / _EYE_RADII[0]).square()[None] + y.square()[:, None] for x in _EYES_ACROSS]
    return torch.sigmoid((1 - torch.stack(apart).amin(dim=0).sqrt()) * _EYE_STEEPNESS)
