"""Identity networks: a face -> a vector of unit length whose cosine with another tells whether they show the same person."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.identity import IdentityNetwork
from mien.models.irse_encoder import IrseBackbone

# Where the face of an FFHQ crop lies that ArcFace was trained on, in fractions of the side (rows 35-222, columns 32-219 of
# 256).
_TOP, _LEFT, _SIDE = 35 / 256, 32 / 256, 188 / 256


class ArcFace(nn.Module):
    """IR-SE50 trained with the ArcFace loss (Deng et al. 2019): face [N, 3, 112, 112] in [-1, 1] -> [N, 512] of length 1."""

    resolution = 112

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        top, size = 8 * width, self.resolution // 16
        self.backbone = IrseBackbone(3, width)
        self.norm0 = nn.BatchNorm2d(top)
        self.linear = nn.Linear(top * size * size, top)
        self.norm1 = nn.BatchNorm1d(top)

    def forward(self, face: Tensor) -> Tensor:
        x = self.norm0(self.backbone(face)[-1])
        return F.normalize(self.norm1(self.linear(x.flatten(1))), dim=1)

    def embed_crop(self, image: Tensor) -> Tensor:
        """FFHQ crop [N, 3, R, R] in [-1, 1] -> [N, 512] of length 1; cuts out the inner part, as pSp's identity loss does."""
        r = image.shape[-1]
        top, left, side = round(_TOP * r), round(_LEFT * r), round(_SIDE * r)
        face = image[:, :, top : top + side, left : left + side]
        out: Tensor = self(F.adaptive_avg_pool2d(face, self.resolution))
        return out


Embedder = ArcFace | IdentityNetwork
"""What tells whose face an FFHQ crop shows, by its method `embed_crop`."""
