"""A small feed-forward encoder: image -> W+ code, trained by this project for its own generator.

Residual down-sampling blocks, then one linear read-out for all rows. The output is an offset to the mean code (as in pSp,
Richardson et al. 2021). With `iterations` > 1 it works as ReStyle (Alaluf et al. 2021) does: it sees the image beside its own
last rendering and corrects the code.

With `detail_channels` it also outputs a feature code: an offset to the generator's features for what W+ cannot express
(Yao et al. 2022, "A Style-Based GAN Encoder for High Fidelity Reconstruction").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODER_ACT_SLOPE = 0.2


@dataclass(frozen=True)
class CompactEncoderConfig:
    """The shape of a compact encoder."""

    resolution: Annotated[int, "side of the input images in pixels"]
    num_ws: Annotated[int, "rows of the W+ code"]
    w_dim: Annotated[int, "length of one row"]
    width: Annotated[int, "channels of the first block; doubled at each halving up to max_width"] = 32
    max_width: Annotated[int, "maximum channels of any block"] = 256
    iterations: Annotated[int, "refinement rounds (ReStyle); 1: a single look"] = 1
    detail_channels: Annotated[int, "channels of the feature code; 0: none"] = 0
    detail_resolution: Annotated[int, "side of the feature code"] = 16


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm0 = nn.GroupNorm(8, inputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip: Tensor = self.skip(F.avg_pool2d(x, 2))
        x = self.conv0(F.leaky_relu(self.norm0(x), ENCODER_ACT_SLOPE))
        x = self.conv1(F.leaky_relu(self.norm1(x), ENCODER_ACT_SLOPE))
        return skip.add_(x)


class FeatureCodeHead(nn.Module):
    """The encoder's own maps of the feature code's size and below -> feature code [N, channels, r, r]; zeros at first."""

    def __init__(self, inputs: list[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(i, inputs[0], 1) for i in inputs)
        self.norm = nn.GroupNorm(8, inputs[0])
        self.conv = nn.Conv2d(inputs[0], inputs[0], 3, padding=1)
        self.out = nn.Conv2d(inputs[0], channels, 3, padding=1)
        with torch.no_grad():
            self.out.weight.zero_()
            assert self.out.bias is not None
            self.out.bias.zero_()

    def forward(self, maps: list[Tensor]) -> Tensor:
        size = maps[0].shape[-1]
        x = sum(
            F.interpolate(lateral(m), size=(size, size), mode="bilinear", align_corners=False)
            for lateral, m in zip(self.lateral, maps, strict=True)
        )
        assert isinstance(x, Tensor)
        x = F.leaky_relu(self.conv(F.leaky_relu(self.norm(x), ENCODER_ACT_SLOPE)), ENCODER_ACT_SLOPE)
        out: Tensor = self.out(x)
        return out


class CompactEncoder(nn.Module):
    """Image [N, 3, R, R] in [-1, 1], and what is known so far, -> W+ code [N, num_ws, w_dim].

    The first look takes zeros for the rendering and the mean code for the code.
    """

    def __init__(self, config: CompactEncoderConfig) -> None:
        super().__init__()
        self.config = config
        inputs = 3 if config.iterations == 1 else 6
        self.stem = nn.Conv2d(inputs, config.width, 3, padding=1)
        blocks, width, size, seen = [], config.width, config.resolution, []
        while size > 4:
            wider = min(config.max_width, width * 2)
            blocks.append(_Residual(width, wider))
            width, size = wider, size // 2
            if size <= config.detail_resolution:
                seen.append(width)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.GroupNorm(8, width)
        self.fc = nn.Linear(width * 16, 512)
        self.out = nn.Linear(512, config.num_ws * config.w_dim)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
        if config.detail_channels:
            if config.detail_resolution >= config.resolution:
                raise ValueError(
                    f"a feature code of {config.detail_resolution} px needs an encoder of more than {config.resolution} px"
                )
            self.detail = FeatureCodeHead(seen, config.detail_channels)

    def forward(self, image: Tensor, code: Tensor, rendering: Tensor | None = None) -> Tensor:
        return self.look(image, code, rendering)[0]

    def look(self, image: Tensor, code: Tensor, rendering: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The code and, where the encoder has one, the feature code [N, detail_channels, r, r]."""
        if self.config.iterations > 1:
            image = torch.cat([image, torch.zeros_like(image) if rendering is None else rendering], dim=1)
        x, maps = self.stem(image), []
        for block in self.blocks:
            x = block(x)
            if x.shape[-1] <= self.config.detail_resolution:
                maps.append(x)
        detail = self.detail(maps) if self.config.detail_channels else None
        x = F.leaky_relu(self.norm(x), ENCODER_ACT_SLOPE).contiguous().flatten(1)
        x = self.out(F.leaky_relu(self.fc(x), ENCODER_ACT_SLOPE))
        offset: Tensor = x.reshape(-1, self.config.num_ws, self.config.w_dim)
        return code + offset, detail
