"""MobileFaceNet (Chen et al. 2018): a small face recognition network, for measuring whether two images show one person.

Layer names are those of the published weights, so that a file of them loads strictly; the weights are the user's own
(`checkpoint.face_networks.read_mobilefacenet`) and never part of this project.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (expansion, channels, repeats, stride of the first) of the inverted residuals, table 1 of the paper.
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))

INPUT_HEIGHT, INPUT_WIDTH = 112, 96
"""Size in pixels of the aligned faces that the network was trained on."""
INPUT_SCALE = 127.5 / 128
"""Images in [-1, 1] times this are the (pixel - 127.5) / 128 that the network was trained on."""
INPUT_LANDMARKS = ((30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041))
"""Where the five points of an aligned face lie, (x, y) in pixels: eyes, nose, mouth corners (SphereFace, Liu et al. 2017)."""


class _ConvBlock(nn.Module):
    """Convolution, batch norm and, where `activate`, PReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], *, stride: int = 1, padding: int = 0, groups: int = 1,
        activate: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs) if activate else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x if self.prelu is None else self.prelu(x)


class _Bottleneck(nn.Module):
    """Expand, depthwise, project; with a skip connection where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.PReLU(inner),
            nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.skip else out


class MobileFaceNet(nn.Module):
    """Aligned faces [N, 3, 112, 96] as (pixel - 127.5) / 128, RGB -> embeddings [N, 128], compared by cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _ConvBlock(3, 64, 3, stride=2, padding=1)
        self.dw_conv1 = _ConvBlock(64, 64, 3, padding=1, groups=64)
        blocks, width = [], 64
        for expansion, outputs, repeats, stride in _STAGES:
            for index in range(repeats):
                blocks.append(_Bottleneck(width, outputs, stride if index == 0 else 1, expansion))
                width = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv2 = _ConvBlock(width, 512, 1)
        self.linear7 = _ConvBlock(512, 512, (7, 6), groups=512, activate=False)
        self.linear1 = _ConvBlock(512, 128, 1, activate=False)

    def forward(self, faces: Tensor) -> Tensor:
        if list(faces.shape[1:]) != [3, INPUT_HEIGHT, INPUT_WIDTH]:
            raise ValueError(f"faces must be [N, 3, {INPUT_HEIGHT}, {INPUT_WIDTH}], got {list(faces.shape)}")
        x = self.dw_conv1(self.conv1(faces.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.linear1(self.linear7(self.conv2(x)))
        return out.flatten(1)


def crop_faces(images: Tensor, landmarks: Tensor) -> Tensor:
    """Cut the faces with `landmarks` out of `images` as the network wants them: [N, 3, 112, 96]; differentiable.

    `images` is [N, 3, H, W] in [-1, 1]; `landmarks` [5, 2] or [N, 5, 2] (x, y) in units of the image's width and height
    (0 to 1): eyes, nose, corners of the mouth, the left ones of the image first. Uses the similarity transform of least
    squares; what lies outside the image is gray.
    """
    landmarks = landmarks.to(images).expand(len(images), 5, 2)
    height, width = images.shape[2:]
    target = torch.tensor(INPUT_LANDMARKS, dtype=images.dtype, device=images.device)
    matrix = similarity(target.expand_as(landmarks), landmarks * landmarks.new_tensor([width, height]))
    # Faces much larger than the network's input are first made smaller by a filter, since sampling points would alias.
    scale = float(torch.linalg.vector_norm(matrix[:, :, 0], dim=1).min())
    if scale > 1:
        size = max(1, round(height / scale)), max(1, round(width / scale))
        images = F.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)
    x, y = torch.meshgrid(
        torch.arange(INPUT_WIDTH, dtype=images.dtype) + 0.5,
        torch.arange(INPUT_HEIGHT, dtype=images.dtype) + 0.5,
        indexing="xy",
    )
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(images.device)
    source = torch.einsum("nij,hwj->nhwi", matrix, points)
    grid = source / landmarks.new_tensor([width, height]) * 2 - 1
    faces = F.grid_sample(images, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return faces.clamp(-1, 1) * INPUT_SCALE


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """The similarity transforms [N, 2, 3] that take points `source` [N, P, 2] closest to `target` [N, P, 2] in least squares.

    Scale, rotation and shift without reflection: with points as complex numbers it is `a z + b`.
    """
    s, t = (torch.view_as_complex(p.contiguous()) for p in (source, target))
    s_mean, t_mean = s.mean(1, keepdim=True), t.mean(1, keepdim=True)
    a = ((t - t_mean) * (s - s_mean).conj()).sum(1) / (s - s_mean).abs().square().sum(1)
    b = t_mean[:, 0] - a * s_mean[:, 0]
    rows = torch.stack([a.real, -a.imag, b.real, a.imag, a.real, b.imag], dim=1)
    return rows.reshape(-1, 2, 3)
