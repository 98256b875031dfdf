"""Make style images of our own: drawings computed from faces that our own model made up.

    python tools/draw_styles.py FACES.png... -o FOLDER [--size 512]

Each face is drawn in every manner: `toon` (the look of an animated film), `comic` (flat colors, black lines), `ink` (brush
and washes on paper), `poster` (few flat colors, dark outline). Nothing but numpy-like torch arithmetic.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.media.images import from_tensor, read_image, write_image


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
    gray = gauss(x.mean(dim=0, keepdim=True), 0.5)
    u = gauss(gray, sigma) * 21 - gauss(gray, sigma * 1.6) * 20
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


def palette(x: Tensor, colors: list[tuple[int, int, int]], softness: float) -> Tensor:
    """Map the brightness of [3, H, W] onto a row of colors, dark to light, in flat steps."""
    gray = x.mean(dim=0)
    low, high = gray.flatten().quantile(torch.tensor([0.02, 0.98]))
    t = ((gray - low) / (high - low)).clamp(0, 1) * (len(colors) - 1)
    step = t.floor() + torch.sigmoid((t - t.floor() - 0.5) / softness)
    table = torch.tensor(colors, dtype=torch.float32) / 255
    below = step.floor().long().clamp(0, len(colors) - 2)
    part = (step - below)[..., None]
    return (table[below] * (1 - part) + table[below + 1] * part).permute(2, 0, 1)


def calm(x: Tensor, radius: int, strength: float) -> Tensor:
    """Flat where [C, H, W] is calm, edges kept: the guided filter by the image itself (He et al. 2013)."""

    def box(t: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(t[None], (radius,) * 4, mode="reflect"), 2 * radius + 1, 1)[0]

    mean = box(x)
    variance = box(x * x) - mean * mean
    slope = variance / (variance + strength)
    return box(slope) * x + box(mean - slope * mean)


def levels(x: Tensor, low: float, high: float) -> Tensor:
    """Stretch the brightness of the middle of a face to `low` .. `high`."""
    size = x.shape[1]
    middle = x.mean(dim=0)[size // 4 :, size // 4 : -size // 4].flatten()
    darkest, brightest = middle.quantile(torch.tensor([0.03, 0.97]))
    return ((x - darkest) / (brightest - darkest) * (high - low) + low).clamp(0, 1)


def saturated(x: Tensor, amount: float) -> Tensor:
    """Colors `amount` times as far from gray."""
    gray = x.mean(dim=0, keepdim=True)
    return gray + (x - gray) * amount


def spot(size: int, x: float, y: float, radius: float) -> Tensor:
    """A Gaussian spot [1, size, size] of height 1 at a place in 0 .. 1."""
    down, across = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    return torch.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * radius**2))[None]


_EYES = ((0.38, 0.475), (0.62, 0.475))


def pupils(face: Tensor) -> list[tuple[float, float]]:
    """The darkest place near each eye of a face in the FFHQ frame."""
    size = face.shape[1]
    gray = gauss(face.mean(dim=0, keepdim=True), size * 0.008)
    places = [int((gray - 0.25 * spot(size, *eye, 0.03)).argmin()) for eye in _EYES]
    return [((k % size) / (size - 1), (k // size) / (size - 1)) for k in places]


def tint(red: float, green: float, blue: float) -> Tensor:
    """A color as [3, 1, 1]."""
    return torch.tensor([red, green, blue]).reshape(3, 1, 1)


def ink(face: Tensor, paper: Tensor) -> Tensor:
    """Brush and two washes of blue-black ink on cream paper."""
    face = large_eyes(levels(face, 0.10, 0.97), 0.16)
    smooth = calm(calm(face, 8, 0.008), 6, 0.005)
    gray = smooth.mean(dim=0, keepdim=True)
    wash = torch.minimum(0.30 + 0.70 * torch.sigmoid((gray - 0.30) * 14), 0.66 + 0.34 * torch.sigmoid((gray - 0.55) * 16))
    drawn = wash * lines(smooth, 2.4, 12.0, 0.18).clamp(0, 1)
    cream, dark = tint(0.965, 0.94, 0.88) + 0.05 * gauss(paper, 2), tint(0.10, 0.12, 0.20)
    return dark + (cream - dark) * drawn


def poster(face: Tensor, paper: Tensor) -> Tensor:
    """Few flat colors and a dark outline."""
    face = kuwahara(kuwahara(large_eyes(face, 0.3), 7), 5)
    flat = palette(face, [(38, 20, 72), (120, 36, 104), (224, 82, 82), (250, 166, 96), (255, 226, 170)], 0.02)
    outline = lines(face, 2.2, 9.0, 0.22)
    dark = torch.tensor([0.11, 0.05, 0.2]).reshape(3, 1, 1)
    return (dark + (flat - dark) * outline.clamp(0, 1) + 0.008 * paper).clamp(0, 1)


def comic(face: Tensor, paper: Tensor) -> Tensor:
    """Flat, strong colors in few tones, and black lines."""
    face = large_eyes(levels(face, 0.14, 0.94), 0.24)
    smooth = calm(calm(face, 8, 0.008), 6, 0.005)
    color = saturated(smooth, 1.75).clamp(0, 1)
    gray = color.mean(dim=0, keepdim=True)
    tone = gray * 3.5 + 0.25
    tone = (tone.floor() + torch.sigmoid((tone - tone.floor() - 0.5) * 16) - 0.25) / 3.5
    flat = (color * (tone / (gray + 1e-3)).clamp(0.55, 1.5) * 0.9 + 0.09).clamp(0, 1)
    fine = lines(calm(face, 3, 0.003), 1.4, 10.0, 0.30).clamp(0, 1) * 0.35 + 0.65
    dark = tint(0.09, 0.06, 0.13)
    return dark + (flat - dark) * torch.minimum(lines(smooth, 2.2, 12.0, 0.20).clamp(0, 1), fine) + 0.004 * paper


def toon(face: Tensor, paper: Tensor) -> Tensor:
    """The look of an animated film: large shining eyes, smooth warm skin, soft light."""
    face = large_eyes(levels(face, 0.10, 0.92), 0.36)
    size = face.shape[1]
    smooth = calm(calm(calm(face, 8, 0.006), 6, 0.004), 4, 0.003)
    sharp = gauss(face, 0.7) + 0.8 * (gauss(face, 0.7) - gauss(face, 3.0))
    kept = 0.8 * sum(spot(size, *eye, 0.05) for eye in _EYES) + 0.4 * spot(size, 0.5, 0.73, 0.05)
    body = saturated(torch.lerp(smooth, sharp, kept.clamp(0, 0.85)), 1.45).clamp(0, 1)
    body = (body * body * (3 - 2 * body) * 0.4 + body * 0.6) * tint(1.03, 1.0, 0.97)
    brown = tint(0.20, 0.09, 0.10)
    body = brown + (body.clamp(0, 1) - brown) * (0.55 + 0.45 * lines(smooth, 2.4, 7.0, 0.20).clamp(0, 1))
    body = 1 - (1 - body) * (1 - 0.20 * gauss(body, 9.0))
    for x, y in pupils(face):
        body = body * (1 - 0.6 * spot(size, x, y, 0.014))
        body = body + 0.35 * spot(size, x + 0.004, y + 0.013, 0.012) * tint(0.30, 0.42, 0.46)
        glint = torch.sigmoid((spot(size, x - 0.010, y - 0.013, 0.006) - 0.45) * 14)
        body = body + (1 - body) * glint
    for x in (0.33, 0.67):
        body = torch.lerp(body, tint(0.98, 0.42, 0.38).expand_as(body), 0.16 * spot(size, x, 0.63, 0.05).expand_as(body))
    return body + 0.002 * paper


MANNERS = {"toon": toon, "comic": comic, "ink": ink, "poster": poster}


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
        face = read_image(path).rgb()
        for manner in MANNERS:
            name = arguments.output / f"{manner}-{path.stem}.png"
            write_image(name, from_tensor(draw(face, manner, size=arguments.size)), overwrite=True)
            print(name)


if __name__ == "__main__":
    main()
