"""The rest of the photo follows the style: its colors change as those around the faces did.

A drawn face in a photo of other colors looks like a mask, with a halo where the two meet. What became of the colors of the
crops, head and ground, tells what the style does to colors; as an affine function of a color, fitted by ridge regression, it is
gentle enough for colors that no crop had. Detail stays the photo's own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.config import Surroundings
from mien.faces.results import AlignedPhoto
from mien.media.images import ImageData

_RIDGE = 0.005  # of color variance in [-1, 1]: holds back what few colors say
_FILLED = 0.2  # of the photo's area: where faces cover less of it, they say less of its colors
_FITTED_AT = 64  # side in pixels of the crops whose colors are compared
_ROWS_AT_ONCE = 256


def restyle_surroundings(photo: AlignedPhoto, drawn: Tensor, share: Surroundings) -> ImageData:
    """The photo with its colors changed as the style changed those of its faces, `drawn` [N, 3, s, s] in [-1, 1].

    `share` is how far, 0 to 1; auto: 1 where faces fill a fifth of the photo, in proportion where they fill less of it.
    """
    image = photo.image_data
    filled = sum(face.frame.side**2 for face in photo.faces) / (image.width * image.height)
    part = min(1.0, filled / _FILLED) if share == "auto" else float(share)
    if part == 0:
        return image
    crops, valid = (torch.stack(each) for each in zip(*((face.crop, face.valid) for face in photo.faces), strict=True))
    return change_colors(image, part * fit_colors(crops, drawn, valid))


def fit_colors(crops: Tensor, drawn: Tensor, valid: Tensor) -> Tensor:
    """How a style changes colors: [3, 4], the change as an affine function of the color in [-1, 1].

    `crops` and `drawn` [N, 3, s, s] are the faces before and after; `valid` [N, 1, s, s] says what lies inside the photo.
    """
    side = min(_FITTED_AT, crops.shape[-1])
    small = (F.interpolate(x, size=(side, side), mode="area") for x in (crops, drawn.clamp(-1, 1), valid))
    before, after, weight = (x.double().transpose(0, 1).flatten(1) for x in small)
    colors = torch.cat([before, torch.ones_like(before[:1])])
    weighted = colors * weight / weight.sum().clamp(min=1)
    change: Tensor = torch.linalg.solve(weighted @ colors.T + _RIDGE * torch.eye(4), weighted @ (after - before).T)
    return change.T.float()


def change_colors(image: ImageData, change: Tensor) -> ImageData:
    """A new image, to whose colors the affine function `change` [3, 4] of `fit_colors` is added."""
    pixels = image.pixels.copy()
    for top in range(0, image.height, _ROWS_AT_ONCE):
        rows = pixels[top : top + _ROWS_AT_ONCE, :, : image.colors]
        colors = ImageData(rows, image.icc).rgb()
        moved = colors + torch.einsum("ij,jhw->ihw", change[:, :3], colors) + change[:, 3, None, None]
        rows[:] = np.rint(image.from_rgb(moved)).astype(pixels.dtype)
    return replace(image, pixels=pixels)
