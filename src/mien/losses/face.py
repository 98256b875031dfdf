"""Losses of the face that is drawn: it still shows the person, and eyes and mouth keep their structure.

Identity (Chong & Forsyth 2022, section 4): `1 - cos(F(G(s; theta)), F(G(s; theta_0)))` with a face recognition network F, both
images gray, so that color stays the style's own affair. (The published code adds the cosine itself, which drives the two
apart.)

Layout is our remedy for a failure that the JoJoGAN paper names (section 6): the reference's gaze is copied into every face.
What is dark and what is light in eyes and mouth lies where the untuned generator puts it. Where irises, lids and lips lie is a
matter of light and dark; how they are drawn, of color, contrast and line, which are free here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mien.losses.features import gray
from mien.models.embedders import Embedder


def identity_loss(network: Embedder, images: Tensor, originals: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of 1 - cosine between whom `images` and `originals` [N, 3, R, R] in [-1, 1] show: 0 (the same) to 2.

    `weights` [N], with mean 1, weighs the images of the batch against each other. Computed in float32.
    """
    found, wanted = (network.embed_crop(gray(p.float())) for p in (images, originals))
    # For vectors of length 1 this is 1 - cosine, and exactly 0 for equal ones.
    gap = (found - wanted).square().sum(dim=1) / 2
    return gap.mean() if weights is None else (gap * weights).mean()


_FLAT = 1e-4  # variance of images in [-1, 1] below which there is no layout


def eye_and_mouth_loss(images: Tensor, originals: Tensor, region: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of 1 - correlation of softened luma between `images` and `originals` [N, 3, R, R] over `region`: 0 to 2.

    `region` [N, 1, R, R] in [0, 1] says how much each pixel counts; `weights` [N], with mean 1, weighs the images of the
    batch against each other. Brightness and contrast do not matter. Computed in float32.
    """
    share = region / region.sum(dim=(2, 3), keepdim=True)

    def layout(image: Tensor) -> Tensor:
        soft = F.avg_pool2d(gray(image.float())[:, :1], 3, 1, 1, count_include_pad=False)
        soft = soft - (soft * share).sum(dim=(2, 3), keepdim=True)
        return soft / ((soft**2 * share).sum(dim=(2, 3), keepdim=True) + _FLAT).sqrt()

    # Half the squared distance of normalized layouts is 1 - correlation, and exactly 0 for equal ones.
    gap = ((layout(images) - layout(originals)) ** 2 * share).sum(dim=(1, 2, 3)) / 2
    return gap.mean() if weights is None else (gap * weights).mean()
