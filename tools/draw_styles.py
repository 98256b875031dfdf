"""Make style pictures of our own: drawings computed from faces that our own model made up.

    python tools/draw_styles.py FACES.png... -o FOLDER [--size 512]

Each face is drawn in every manner: `ink` (lines and hatching on paper), `poster` (few flat colours, dark outline, large eyes),
`pastel` (soft patches of light colour), `neon` (glowing lines in the dark). Nothing but numpy-like torch arithmetic.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.media.images import from_tensor, read_picture, write_picture


def gauss(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [C, H, W]."""
    radius = max(1, math.ceil(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float32) / sigma) ** 2)
    taps = taps / taps.sum()
    c = x.shape[0]
    x = F.pad(x[None], (radius,) * 4, mode="reflect")
    x = F.conv2d(x, taps.reshape(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    return F.conv2d(x, taps.reshape(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)[0]


def kuwahara(x: Tensor, radius: int) -> Tensor:
    """Edge-keeping smoothing: each pixel takes the mean of the calmest of its four quadrants."""
    k = radius + 1
    means, spreads = [], []
    for dy in (0, radius):
        for dx in (0, radius):
            p = F.pad(x[None], (radius - dx, dx, radius - dy, dy), mode="reflect")
            mean = F.avg_pool2d(p, k, 1)
            means.append(mean[0])
            spreads.append((F.avg_pool2d(p.square(), k, 1) - mean.square())[0].sum(dim=0))
    best = torch.stack(spreads).argmin(dim=0)
    return torch.stack(means).gather(0, best[None, None].expand(1, *x.shape))[0]


def lines(x: Tensor, sigma: float, sharpness: float, level: float = 0.0) -> Tensor:
    """Dark lines [1, H, W] in 0 (line) .. 1 (paper): extended difference of Gaussians (Winnemoeller et al. 2012)."""
    grey = gauss(x.mean(dim=0, keepdim=True), 0.5)
    u = gauss(grey, sigma) * 21 - gauss(grey, sigma * 1.6) * 20
    return torch.where(u > level, torch.ones_like(u), 1 + torch.tanh(sharpness * (u - level)))


def large_eyes(x: Tensor, amount: float) -> Tensor:
    """Enlarge the eyes and narrow the jaw of a face in the FFHQ frame: the shape of a cartoon."""
    size = x.shape[1]
    y, x_ = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    dx, dy = torch.zeros_like(x_), torch.zeros_like(y)
    for cx, cy in ((0.38, 0.475), (0.62, 0.475)):
        rx, ry = x_ - cx, y - cy
        pull = amount * torch.exp(-(rx.square() + ry.square()) / 0.085**2)
        dx, dy = dx - rx * pull, dy - ry * pull
    jaw = 0.5 * amount * torch.exp(-((y - 0.85) ** 2) / 0.18**2) * torch.exp(-((x_ - 0.5) ** 2) / 0.25**2)
    dx = dx + (x_ - 0.5) * jaw
    grid = torch.stack([x_ + dx, y + dy], dim=-1) * 2 - 1
    return F.grid_sample(x[None], grid[None], mode="bicubic", padding_mode="reflection", align_corners=True)[0].clamp(0, 1)


def palette(x: Tensor, colours: list[tuple[int, int, int]], softness: float) -> Tensor:
    """Map the brightness of [3, H, W] onto a row of colours, dark to light, in flat steps."""
    grey = x.mean(dim=0)
    low, high = grey.flatten().quantile(torch.tensor([0.02, 0.98]))
    t = ((grey - low) / (high - low)).clamp(0, 1) * (len(colours) - 1)
    step = t.floor() + torch.sigmoid((t - t.floor() - 0.5) / softness)
    table = torch.tensor(colours, dtype=torch.float32) / 255
    below = step.floor().long().clamp(0, len(colours) - 2)
    part = (step - below)[..., None]
    return (table[below] * (1 - part) + table[below + 1] * part).permute(2, 0, 1)


def ink(face: Tensor, paper: Tensor) -> Tensor:
    """Black lines and hatching on cream paper."""
    face = large_eyes(face, 0.12)
    smooth = kuwahara(face, 6)
    drawn = lines(smooth, 1.8, 12.0, 0.28)
    grey = gauss(smooth.mean(dim=0, keepdim=True), 3.0)
    size = face.shape[1]
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    wobble = gauss(paper, 6.0)[0] * 14
    for k, (slope, darkness) in enumerate(((1.0, 0.42), (-1.0, 0.28), (0.25, 0.16))):
        wave = torch.sin((x + slope * y + wobble) * (2 * math.pi / (9 - k)))
        stroke = torch.sigmoid((wave - 0.25) * 6)
        drawn = drawn * (1 - 0.85 * stroke * torch.sigmoid((darkness - grey) * 30))
    cream = torch.tensor([0.96, 0.93, 0.86]).reshape(3, 1, 1) + 0.025 * paper
    dark = torch.tensor([0.10, 0.09, 0.14]).reshape(3, 1, 1)
    return dark + (cream - dark) * drawn.clamp(0, 1)


def poster(face: Tensor, paper: Tensor) -> Tensor:
    """Few flat colours and a dark outline."""
    face = kuwahara(kuwahara(large_eyes(face, 0.3), 7), 5)
    flat = palette(face, [(38, 20, 72), (120, 36, 104), (224, 82, 82), (250, 166, 96), (255, 226, 170)], 0.02)
    outline = lines(face, 2.2, 9.0, 0.22)
    dark = torch.tensor([0.11, 0.05, 0.2]).reshape(3, 1, 1)
    return (dark + (flat - dark) * outline.clamp(0, 1) + 0.008 * paper).clamp(0, 1)


def pastel(face: Tensor, paper: Tensor) -> Tensor:
    """Soft patches of light colour on grained paper."""
    face = kuwahara(kuwahara(large_eyes(face, 0.18), 10), 8)
    grey = face.mean(dim=0, keepdim=True)
    tint = grey + (face - grey) * 1.9
    light = 0.38 + 0.66 * tint.clamp(0, 1) + torch.tensor([0.03, 0.0, 0.06]).reshape(3, 1, 1)
    soft = lines(face, 3.2, 5.0, 0.15)
    brown = torch.tensor([0.42, 0.27, 0.38]).reshape(3, 1, 1)
    return (brown + (light - brown) * (0.35 + 0.65 * soft.clamp(0, 1)) + 0.035 * paper).clamp(0, 1)


def neon(face: Tensor, paper: Tensor) -> Tensor:
    """Glowing lines in the dark."""
    face = kuwahara(large_eyes(face, 0.2), 6)
    grey = gauss(face.mean(dim=0, keepdim=True), 1.5)
    across, down = grey - grey.roll(3, dims=2), grey - grey.roll(3, dims=1)
    edge = torch.sigmoid(((across.square() + down.square()).sqrt() - 0.09) * 40)
    body = palette(face, [(6, 4, 26), (14, 10, 58), (36, 16, 96), (84, 26, 132), (150, 44, 160)], 0.06)
    cyan, pink = (torch.tensor(c).reshape(3, 1, 1) for c in ([0.15, 0.95, 1.0], [1.0, 0.2, 0.7]))
    ramp = torch.linspace(0, 1, face.shape[2]).reshape(1, 1, -1)
    glow = gauss(edge, 5.0) * 0.9 + gauss(edge, 14.0) * 0.8
    return (body + (cyan * (1 - ramp) + pink * ramp) * (edge + glow) + 0.006 * paper).clamp(0, 1)


MANNERS = {"ink": ink, "poster": poster, "pastel": pastel, "neon": neon}


def draw(face: Tensor, manner: str, *, size: int = 512, seed: int = 0) -> Tensor:
    """A face [3, R, R] in [-1, 1], in the FFHQ frame, drawn in one of `MANNERS`: [3, size, size] in [-1, 1]."""
    face = F.interpolate(face[None], (size, size), mode="bicubic", align_corners=False, antialias=True)[0]
    paper = gauss(torch.randn(1, size, size, generator=torch.Generator().manual_seed(seed)), 0.8) * 1.5
    return MANNERS[manner](((face + 1) / 2).clamp(0, 1), paper).clamp(0, 1) * 2 - 1


def main() -> None:
    """Draw every face in every manner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    for path in arguments.faces:
        face = read_picture(path).rgb()
        for manner in MANNERS:
            name = arguments.output / f"{manner}-{path.stem}.png"
            write_picture(name, from_tensor(draw(face, manner, size=arguments.size)), overwrite=True)
            print(name)


if __name__ == "__main__":
    main()
