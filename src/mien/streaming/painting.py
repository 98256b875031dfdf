"""What of a drawn face is painted over a frame: the face itself, and the colors of the drawing on the photo's own hair.

A small model draws hair as a soft mass. So, as for photos (`RenderConfig.hair`), hair keeps the photo's strands; here the cheap
way: the frame is shifted by the coarse difference of color between drawing and photo.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.faces.head_mask import face_ellipse
from mien.faces.paste import border_shift
from mien.mappers.resampling import resizing

_MATCHED_AT = 64  # side in pixels at which the colors of the border are matched
_COARSE = 32  # side in pixels at which a difference of color is one of color alone, not of strands


def painted(face: Tensor, crop: Tensor, mask: Tensor, own: Tensor, hair: float) -> tuple[Tensor, Tensor]:
    """Paint [3, s, s] and cover [1, s, s] for `quick_paste` from a drawn face and the photo's crop [3, s, s] in [-1, 1].

    `mask` [1, s, s] is what the face may cover, `own` [1, s, s] where the photo's own head is, and `hair` how much its hair
    keeps of itself, 0 to 1.
    """
    if hair == 0:
        return face * mask, mask
    size = face.shape[-1]
    kept = mask * own * _beside_the_face(size) * hair
    cover = mask - kept
    return torch.addcmul(face * cover, _resized(_resized(face - crop, _COARSE), size), kept), cover


@lru_cache
def _beside_the_face(size: int) -> Tensor:
    return 1 - face_ellipse(size)


def matching_shift(face: Tensor, crop: Tensor, mask: Tensor) -> Tensor:
    """What brings the colors of a face [3, s, s] to those of the photo along the border of its mask [1, s, s]: [3, 64, 64]."""
    small = _resized(torch.cat([face, crop, mask]), _MATCHED_AT)
    return border_shift(small[:3], small[3:6], small[6:7], torch.ones_like(small[6:7]))


def shifted(face: Tensor, shift: Tensor) -> Tensor:
    """A face with a coarse shift of its colors."""
    return (face + _resized(shift, face.shape[-1])).clamp(-1, 1)


def _resized(x: Tensor, size: int) -> Tensor:
    if x.shape[-1] > size and x.shape[-1] % size == 0:
        return F.avg_pool2d(x[None], x.shape[-1] // size)[0]
    enlarged: Tensor = _resizing(x.shape[-1], size)(x)
    return enlarged


@lru_cache
def _resizing(size: int, to: int) -> nn.Module:
    return resizing(size, to, "bilinear")  # as products of matrices: several times as quick
