"""IR-SE50 (a residual network with squeeze-and-excitation, Deng et al. 2019, Hu et al. 2018) and the encoders built on it.

pSp (Richardson et al. 2021), e4e (Tov et al. 2021) and their iterative forms by ReStyle (Alaluf et al. 2021): an image gives
one code for each row of W+, as an offset to the mean code. They differ in two things only: whether the rows read a feature
pyramid or the last feature map, and whether a row is its own output (pSp) or a correction of row 0 (e4e).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers import EqualLinear

EncoderKind = Literal["psp", "e4e", "restyle-psp", "restyle-e4e"]

UNITS = (3, 4, 14, 3)
_REDUCTION = 16
_HEAD_SLOPE = 0.01  # LeakyReLU's default, unlike StyleGAN2's 0.2
# Rows 0-2 read the coarsest level of the pyramid (16 px), rows 3-6 the middle one (32 px), the others the finest (64 px).
_MIDDLE_ROW, _FINE_ROW = 3, 7


class Bottleneck(nn.Module):
    """Pre-activation residual unit with squeeze-and-excitation: [N, C, H, W] -> [N, C', H/stride, W/stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm0 = nn.BatchNorm2d(inputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.act = nn.PReLU(outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.squeeze = nn.Conv2d(outputs, outputs // _REDUCTION, 1, bias=False)
        self.excite = nn.Conv2d(outputs // _REDUCTION, outputs, 1, bias=False)
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outputs)
        self.projects = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        skip = self.shortcut_norm(self.shortcut(x)) if self.projects else x[:, :, :: self.stride, :: self.stride]
        x = self.act(self.conv0(self.norm0(x)))
        x = self.norm1(self.conv1(x))
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))))
        out: Tensor = x * weight + skip
        return out


class IrseBackbone(nn.Module):
    """Image [N, C, S, S] -> feature maps of the four stages, [N, width, S/2, S/2] to [N, 8 * width, S/16, S/16]."""

    def __init__(self, input_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.ModuleDict(
            {
                "conv": nn.Conv2d(input_channels, width, 3, padding=1, bias=False),
                "norm": nn.BatchNorm2d(width),
                "act": nn.PReLU(width),
            }
        )
        body, inputs = [], width
        for stage, units in enumerate(UNITS):
            outputs = width << stage
            body += [Bottleneck(inputs if unit == 0 else outputs, outputs, 2 if unit == 0 else 1) for unit in range(units)]
            inputs = outputs
        self.body = nn.ModuleList(body)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem["act"](self.stem["norm"](self.stem["conv"](x)))
        stages, start = [], 0
        for units in UNITS:
            for unit in self.body[start : start + units]:
                x = unit(x)
            stages.append(x)
            start += units
        return stages


@dataclass(frozen=True)
class IrseEncoderConfig:
    """The shape of an IR-SE50 encoder."""

    kind: Annotated[EncoderKind, "which published encoder it is"]
    num_ws: Annotated[int, "rows of the W+ code"] = 18
    width: Annotated[int, "channels of the first stage; a row is 8 times as long"] = 64
    resolution: Annotated[int, "side of the input images in pixels"] = 256

    @property
    def iterative(self) -> bool:
        """Whether it sees its own last rendering beside the image (ReStyle)."""
        return self.kind.startswith("restyle")

    @property
    def progressive(self) -> bool:
        """Whether rows are corrections of row 0 (e4e)."""
        return self.kind.endswith("e4e")

    @property
    def w_dim(self) -> int:
        """Length of one row."""
        return 8 * self.width

    def level(self, row: int) -> int:
        """Level of the feature pyramid that a row reads: 0 the last map, 1 and 2 the finer ones."""
        if self.iterative or row < _MIDDLE_ROW:
            return 0
        return 1 if row < _FINE_ROW else 2


class _Row(nn.Module):
    """Feature map [N, C, s, s] -> one row [N, C], halving down to a single pixel."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        steps = size.bit_length() - 1
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(steps))
        self.linear = EqualLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _HEAD_SLOPE)
        out: Tensor = self.linear(x.flatten(1))
        return out


class IrseEncoder(nn.Module):
    """pSp, e4e or ReStyle: image [N, 3, 256, 256] in [-1, 1] -> offset to the mean code [N, num_ws, w_dim].

    The iterative ones take [N, 6, 256, 256], the image and the last rendering (at first that of the mean code), and answer
    with the offset to the last code. `latent_avg` [num_ws, w_dim] is the mean code of its training, where its
    file has one.
    """

    latent_avg: Tensor | None

    def __init__(self, config: IrseEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width, top = config.width, 8 * config.width
        self.backbone = IrseBackbone(6 if config.iterative else 3, width)
        size = config.resolution // 16
        self.rows = nn.ModuleList(_Row(top, size << config.level(row)) for row in range(config.num_ws))
        if not config.iterative:
            self.lateral_middle = nn.Conv2d(4 * width, top, 1)
            self.lateral_fine = nn.Conv2d(2 * width, top, 1)
        self.register_buffer("latent_avg", None, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        _, fine, middle, last = self.backbone(image)
        levels = [last]
        if not self.config.iterative:
            levels.append(_enlarged(last, middle) + self.lateral_middle(middle))
            levels.append(_enlarged(levels[1], fine) + self.lateral_fine(fine))
        code = torch.stack([row(levels[self.config.level(i)]) for i, row in enumerate(self.rows)], dim=1)
        if self.config.progressive:
            first, corrections = code[:, :1], code[:, 1:]
            code = torch.cat([first, first + corrections], dim=1)
        return code


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
