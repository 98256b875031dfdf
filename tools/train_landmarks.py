"""Train the five-point landmark network of mien (src/mien/data/landmarks.safetensors).

    pip download --no-deps facenet-pytorch==2.5.3 && unzip -j facenet_pytorch-2.5.3-*.whl '*/onet.pt'
    python tools/train_landmarks.py faces-train-256.zip onet.pt src/mien/data/landmarks.safetensors

Teacher: the last stage (O-Net) of MTCNN (Zhang et al. 2016; MIT-licensed, from facenet-pytorch), which labels the aligned faces
of the zip; it is read for making labels only. Student: grey crops of those faces, turned, moved, scaled and drawn over with
filters that look like sketches, ink, flat tones and paint, so that what it learns holds for drawings.
"""

from __future__ import annotations

import argparse
import io
import math
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from mien.checkpoint.landmarks import read_landmark_network, write_landmark_network
from mien.faces.align import ffhq_frame
from mien.models.landmarks import LandmarkConfig, LandmarkNetwork

STORED = 144
"""Side in pixels at which the training faces are kept in memory."""


class Teacher(nn.Module):
    """MTCNN's O-Net: [N, 3, 48, 48] in [-1, 1] -> box correction [N, 4], points [N, 10] (five x, five y), score [N, 2]."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        for index, (inputs, outputs, kernel) in enumerate(((3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)), start=1):
            setattr(self, f"conv{index}", nn.Conv2d(inputs, outputs, kernel))
            setattr(self, f"prelu{index}", nn.PReLU(outputs))
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)
        self.load_state_dict(torch.load(weights, weights_only=True), strict=True)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(x.permute(0, 3, 2, 1).flatten(1)))
        return self.dense6_2(x), self.dense6_3(x), self.dense6_1(x).softmax(1)


def read_faces(path: Path) -> tuple[Tensor, list[str]]:
    """All pictures of the zip, [N, 3, STORED, STORED] uint8, and their names."""
    faces, names = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".webp", ".jpg", ".png")):
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    small = image.convert("RGB").resize((STORED, STORED), Image.Resampling.LANCZOS)
                faces.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
                names.append(name)
    return torch.stack(faces), names


def window(pictures: Tensor, centre: Tensor, half: Tensor, angle: Tensor, size: int) -> Tensor:
    """Square windows of [N, 3, H, W]: centres [N, 2] and half sides [N] in units of the picture's side, angles in radians."""
    cos, sin = half * torch.cos(angle), half * torch.sin(angle)
    shift = centre * 2 - 1
    theta = torch.stack([2 * cos, -2 * sin, shift[:, 0], 2 * sin, 2 * cos, shift[:, 1]], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, [len(pictures), 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def label(faces: Tensor, teacher: Teacher) -> tuple[Tensor, Tensor]:
    """The teacher's points [N, 5, 2] in units of the picture's side, and how sure it is that there is a face [N].

    Each face is looked at from several boxes and mirrored; the answer is the median.
    """
    answers, sure = [], []
    for start in range(0, len(faces), 256):
        batch = faces[start : start + 256].float() / 127.5 - 1
        looks, scores = [], []
        for mirrored in (False, True):
            pictures = batch.flip(3) if mirrored else batch
            for dx, dy, scale in ((0, 0, 1.0), (0.02, 0, 1.08), (-0.02, 0, 0.94), (0, 0.03, 1.0), (0, -0.03, 1.03)):
                centre = torch.tensor([0.5 + dx, 0.57 + dy]).expand(len(batch), 2)
                half = torch.full((len(batch),), 0.27 * scale)
                for _ in range(2):  # the teacher corrects its own box once
                    box, points, score = teacher(window(pictures, centre, half, torch.zeros(len(batch)), 48))
                    found = torch.stack([points[:, :5], points[:, 5:]], dim=2) * 2 * half[:, None, None]
                    found = found + (centre - half[:, None])[:, None]
                    side = 2 * half[:, None]
                    low, high = centre - half[:, None] + box[:, :2] * side, centre + half[:, None] + box[:, 2:] * side
                    centre, half = (low + high) / 2, (high - low).amax(dim=1) / 2 * scale
                if mirrored:
                    found = torch.stack([1 - found[..., 0], found[..., 1]], dim=2)[:, [1, 0, 2, 4, 3]]
                looks.append(found)
                scores.append(score[:, 1])
        answers.append(torch.stack(looks).median(dim=0).values)
        sure.append(torch.stack(scores).median(dim=0).values)
    return torch.cat(answers), torch.cat(sure)


def settle(points: Tensor) -> Tensor:
    """Move the teacher's points [N, 5, 2] by the least similarity that makes their FFHQ crop the picture itself.

    The pictures are FFHQ crops by that formula, from other landmarks than the teacher's: so the teacher's errors in position,
    size and direction are known, and taken out.
    """
    frames = [ffhq_frame(face.double() * 1000) for face in points]
    return torch.stack([frame.to_crop(1)(face.double() * 1000) for frame, face in zip(frames, points, strict=True)]).float()


@dataclass(frozen=True)
class Bump:
    """Local displacements: [N, K] Gaussian bumps that push by `push` and magnify by `swell` around their centres."""

    centre: Tensor  # [N, K, 2]
    radius: Tensor  # [N, K]
    push: Tensor  # [N, K, 2]
    swell: Tensor  # [N, K]

    def __call__(self, points: Tensor) -> Tensor:
        """Where a result's points [N, P, 2] are read from: their displacement [N, P, 2]."""
        away = points[:, :, None] - self.centre[:, None]
        weight = torch.exp(-0.5 * away.square().sum(dim=3, keepdim=True) / self.radius[:, None, :, None].square())
        return (weight * (self.push[:, None] - self.swell[:, None, :, None] * away)).sum(dim=2)


def caricature(points: Tensor, rng: torch.Generator) -> Bump:
    """Large or small eyes, other distances between the features, a bent outline: what drawings do to a face."""
    n = len(points)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng)

    strength = torch.rand(n, 1, generator=rng)
    eyes = points[:, :2]
    swell_eyes = (0.3 * strength * normal(n, 1)).clamp(-0.3, 0.6).abs().expand(n, 2)
    features = torch.stack([eyes.mean(dim=1), points[:, 2], points[:, 3:].mean(dim=1)], dim=1)
    elsewhere = 0.5 + 0.25 * normal(n, 4, 2)
    radius = [torch.full((n, 2), 0.06), torch.full((n, 3), 0.10), 0.1 + 0.1 * torch.rand(n, 4, generator=rng)]
    push = [torch.zeros(n, 2, 2), 0.02 * strength[:, None] * normal(n, 7, 2)]
    swell = [swell_eyes, 0.15 * strength * normal(n, 3), torch.zeros(n, 4)]
    centre = torch.cat([eyes, features, elsewhere], dim=1)
    return Bump(centre, torch.cat(radius, dim=1), torch.cat(push, dim=1), torch.cat(swell, dim=1))


def view(faces: Tensor, points: Tensor, size: int, field: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random looks at faces [N, 1, S, S] in [-1, 1]: crops [N, 1, size, size] and their points [N, 7, 2] in crop units.

    Two kinds: a first look (moved, turned by up to 50 degrees, of another size) and a second one (nearly right already).
    """
    n = len(faces)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=rng)

    flip = torch.rand(n, generator=rng) < 0.5
    faces = torch.where(flip[:, None, None, None], faces.flip(3), faces)
    mirrored = torch.stack([1 - points[..., 0], points[..., 1]], dim=2)[:, [1, 0, 2, 4, 3]]
    points = torch.where(flip[:, None, None], mirrored, points)

    first = torch.rand(n, generator=rng) < 0.55
    angle = torch.where(first, uniform(-50, 50, n) * uniform(0.3, 1, n), uniform(-8, 8, n)) * (math.pi / 180)
    half = 0.5 * field * torch.exp(torch.where(first, uniform(-0.28, 0.28, n), uniform(-0.08, 0.08, n)))
    centre = 0.5 + torch.where(first[:, None], uniform(-0.11, 0.11, n, 2), uniform(-0.03, 0.03, n, 2))
    aspect = torch.exp(uniform(-0.15, 0.15, n) * (torch.rand(n, generator=rng) < 0.5))

    # From the crop, as seen, back to the face: turn and scale, stretch, then the local displacements.
    # The map is smooth: it is worked out at every second pixel.
    coarse = size // 2
    line = (torch.arange(coarse) + 0.5) / coarse * 2 - 1
    u, v = torch.meshgrid(line, line, indexing="xy")
    grid = torch.stack([u.flatten(), v.flatten()], dim=1)[None].expand(n, -1, 2)
    cos, sin = torch.cos(angle) * half, torch.sin(angle) * half
    matrix = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], dim=1)  # [N, 2, 2]
    stretch = torch.stack([aspect, 1 / aspect], dim=1)
    matrix = stretch[:, :, None] * matrix
    bumps = caricature(points, rng)
    where = grid @ matrix.mT + centre[:, None]
    source = where + bumps(where)
    source = F.interpolate((source * 2 - 1).mT.reshape(n, 2, coarse, coarse), scale_factor=2.0, mode="bilinear")
    crops = F.grid_sample(faces, source.permute(0, 2, 3, 1), mode="bilinear", padding_mode="reflection", align_corners=False)
    # The points go the other way: the displacement is inverted by fixed-point iteration.
    seen = points
    for _ in range(6):
        seen = points - bumps(seen)
    answer = torch.linalg.solve(matrix, (seen - centre[:, None]).mT).mT
    # The FFHQ crop is the whole picture, whatever happens inside it: its centre, and the middle of its right edge.
    middle = (0.5 - centre)[:, None]
    half_side = torch.stack([cos, -sin], dim=1)[:, None] * (0.5 / half.square())[:, None, None]
    crop = torch.linalg.solve(matrix, middle.mT).mT
    return crops, torch.cat([answer, crop, crop + half_side], dim=1) / 2 + 0.5


def _blur(x: Tensor, sigma: float) -> Tensor:
    reach = max(1, math.ceil(2.5 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    x = F.pad(x, (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(x, taps[None, None, :, None]), taps[None, None, None, :])


def to_grey(faces: Tensor, rng: torch.Generator) -> Tensor:
    """[N, 3, S, S] uint8 -> [N, 1, S, S] in about [-1, 1]: a third as the network does it, others through colour filters."""
    n = len(faces)
    share = torch.rand(n, 3, generator=rng) * 1.6 - 0.3
    share = torch.where(torch.rand(n, 1, generator=rng) < 0.35, torch.ones(n, 3), share)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=0.7)
    return torch.einsum("nchw,nc->nhw", faces.float() / 127.5 - 1, share)[:, None]


def draw(crops: Tensor, rng: torch.Generator) -> Tensor:
    """Draw grey crops [N, 1, S, S] over: ink, pencil, flat tones, paint, other light, noise; a third stay photos."""
    parts = list(crops.chunk(8))

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=rng))

    for index, part in enumerate(parts):
        kind = int(torch.randint(0, 8, (), generator=rng))
        contrast = part.std(dim=(2, 3), keepdim=True) + 0.05
        if kind == 0:  # ink: difference of Gaussians with a soft threshold (Winnemoeller et al. 2012)
            sigma, tau = uniform(0.4, 1.2), uniform(0.93, 1.0)
            lines = _blur(part, sigma) - tau * _blur(part, sigma * 1.6)
            ink = torch.tanh(uniform(0.8, 3) * lines / (lines.std(dim=(2, 3), keepdim=True) + 1e-3) + uniform(0.2, 0.8))
            part = ink.clamp(max=uniform(0.5, 1.0)) + uniform(0, 0.7) * torch.tanh(3 * part)
        elif kind == 1:  # pencil: colour dodge with the blurred negative
            light = (part / 2 + 0.5).clamp(0, 1)
            part = (light / (_blur(light, uniform(1.0, 4.0)) + 0.02)).clamp(0, 1.2).pow(uniform(1, 6))
        elif kind == 2:  # flat tones
            levels = uniform(1.5, 4)
            part = torch.round(_blur(part, uniform(0.4, 1.2)) * levels + uniform(-0.5, 0.5)) / levels
        elif kind == 3:  # flat tones with outlines
            levels = uniform(1, 3)
            smooth = _blur(part, uniform(0.5, 1.0))
            edges = (smooth - _blur(smooth, 1.2)) / contrast
            part = torch.round(_blur(part, 1.0) * levels) / levels + uniform(3, 10) * edges.clamp(max=0)
        elif kind == 4:  # paint: smeared and sharpened again
            smooth = _blur(part, uniform(0.8, 1.6))
            part = (smooth + uniform(1, 4) * (smooth - _blur(smooth, 2.0))).clamp(-1.2, 1.2)
        if uniform(0, 1) < 0.1:
            part = -part
        parts[index] = part
    crops = torch.cat(parts)
    n = len(crops)
    # Light from a side, tone curve, brightness, contrast and noise, each picture its own.
    line = torch.linspace(-1, 1, crops.shape[3])
    side = 0.35 * torch.randn(n, 2, generator=rng)
    crops = crops + side[:, 0, None, None, None] * line[None, None, :, None] + side[:, 1, None, None, None] * line
    crops = crops * torch.exp(0.35 * torch.randn(n, 1, 1, 1, generator=rng)) + 0.25 * torch.randn(n, 1, 1, 1, generator=rng)
    noise = torch.randn(crops.shape, generator=rng)
    crops = crops + 0.10 * torch.rand(n, 1, 1, 1, generator=rng).square() * noise
    if uniform(0, 1) < 0.3:
        crops = _blur(crops, uniform(0.4, 1.3))
    # A hand, hair or glasses' shine over some faces.
    for index in torch.nonzero(torch.rand(n, generator=rng) < 0.15)[:, 0].tolist():
        y, x = (int(uniform(0, crops.shape[2] * 0.8)) for _ in range(2))
        h, w = (int(uniform(4, crops.shape[2] * 0.35)) for _ in range(2))
        crops[index, :, y : y + h, x : x + w] = uniform(-1, 1)
    return crops.clamp(-1, 1)


def square(points: Tensor) -> Tensor:
    """The FFHQ crop of points [N, 7, 2] as centre and half x axis [N, 4], differentiable (twin of `ffhq_frame`)."""
    eyes, mouth = points[:, :2].mean(dim=1), points[:, 3:5].mean(dim=1)
    across, down = points[:, 1] - points[:, 0], mouth - eyes
    direction = F.normalize(across + torch.stack([down[:, 1], -down[:, 0]], dim=1), dim=1)
    half = torch.maximum(2.0 * across.norm(dim=1), 1.8 * down.norm(dim=1))
    return torch.cat([eyes + 0.1 * down, direction * half[:, None]], dim=1)


def train(
    faces: Tensor, points: Tensor, names: list[str], network: LandmarkNetwork, minutes: float, rate: float, seed: int
) -> LandmarkNetwork:
    """Adam with a cosine schedule over CPU time; returns the running mean of the weights."""
    rng = torch.Generator().manual_seed(seed)
    config = network.config
    network = network.train().requires_grad_(True).to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    # The two small folders are the varied ones: shown four times as often.
    chance = torch.tensor([1.0 if "studio" in name else 4.0 for name in names])
    batch, start, step, shown = 128, time.process_time(), 0, 0
    while (done := (time.process_time() - start) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, step / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
        index = torch.multinomial(chance, batch, generator=rng)
        crops, target = view(to_grey(faces[index], rng), points[index], config.size, config.field, rng)
        crops = draw(crops, rng)
        with torch.autocast("cpu", torch.bfloat16):
            features = network.features(crops)
        answer = network.read_out(features.float())
        by_formula, its_target = square(answer), square(target)
        loss = F.smooth_l1_loss(answer, target, beta=0.02) + F.smooth_l1_loss(by_formula, its_target, beta=0.02)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        mean.update_parameters(network)
        step, shown = step + 1, shown + batch
        if step % 100 == 0:
            error = (by_formula.detach() - its_target).norm(dim=1).mean()
            seconds = time.process_time() - start
            print(
                f"{seconds:5.0f} s {shown:8d} faces, loss {float(loss.detach()):.4f}, crop error {float(error):.4f}", flush=True
            )
    trained: LandmarkNetwork = mean.module
    return trained.eval().requires_grad_(False)


def main() -> None:
    """Label, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="zip of faces in the FFHQ frame")
    parser.add_argument("teacher", type=Path, help="onet.pt of facenet-pytorch 2.5.3")
    parser.add_argument("out", type=Path, help="where to write the network")
    parser.add_argument("--minutes", type=float, default=12.0, help="CPU time of the training proper (one thread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="go on from this network, with half the learning rate")
    parser.add_argument("--labels", type=Path, help="keep faces and labels here between runs")
    options = parser.parse_args()
    torch.set_num_threads(1)  # small tensors: more threads wait more than they work
    if options.labels and options.labels.exists():
        stored = torch.load(options.labels, weights_only=True)
        faces, points, sure, names = stored["faces"], stored["points"], stored["sure"], stored["names"]
    else:
        faces, names = read_faces(options.faces)
        points, sure = label(faces, Teacher(options.teacher))
        if options.labels:
            torch.save({"faces": faces, "points": points, "sure": sure, "names": names}, options.labels)
    good = torch.nonzero(sure > 0.9)[:, 0]
    names = [names[index] for index in good.tolist()]
    torch.manual_seed(options.seed)
    network = LandmarkNetwork(LandmarkConfig()) if options.start is None else read_landmark_network(options.start)
    rate = 2e-3 if options.start is None else 1e-3
    network = train(faces[good], settle(points[good]), names, network, options.minutes, rate, options.seed)
    provenance = {
        "name": "mien landmarks",
        "source": f"tools/train_landmarks.py on {len(names)} faces labelled by MTCNN's O-Net (facenet-pytorch 2.5.3)",
        "seed": options.seed,
        "minutes": options.minutes,
    }
    write_landmark_network(options.out, network, provenance)
    print(f"{options.out}: {options.out.stat().st_size} bytes, {sum(p.numel() for p in network.parameters())} parameters")


if __name__ == "__main__":
    main()
