"""Pasting a drawn face back: which parts are redrawn, and which keep the photo's detail in the drawing's colors."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mien.faces.head_mask import covering_mask, own_head
from mien.faces.paste import paste_back
from mien.faces.recolor import spread_colors
from mien.faces.results import StylizedFace
from mien.faces.upscale import upscaled
from mien.media.images import ImageData


def blend_face(
    image: ImageData, face: StylizedFace, *, factor: float = 1.0, hair: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> ImageData:  # fmt: skip
    """Put a stylized face back into its photo, as sharp as the photo is; returns a new image.

    The face is sharpened to `factor` times as many pixels a side (see `upscale_factor`). `hair` 0 draws hair as the model does
    (small ones draw worms there), 1 keeps the photo's strands and takes the drawing's colors alone. `dtype` is that of the
    upscaler's convolutions.
    """
    own, drawn = face.head, own_head(face.stylized)
    covered = covering_mask(own, drawn)
    image = spread_colors(image, face.frame, face.stylized, covered, own)
    sharp = upscaled(face.stylized, factor, dtype=dtype)
    mask = covering_mask(own, drawn, hair=1 - hair)
    if sharp.shape != face.stylized.shape:
        mask = F.interpolate(mask[None], size=sharp.shape[1:], mode="bilinear", align_corners=False)[0]
    return paste_back(image, face.frame, sharp, mask, faithful=sharp is face.stylized)
