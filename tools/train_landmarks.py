"""Train the five-point landmark network of mien (src/mien/data/landmarks.safetensors).

    pip download --no-deps facenet-pytorch==2.5.3 face_recognition_models==0.3.0   # unpack onet.pt and shape_predictor_68_...
    python tools/train_landmarks.py faces-train-256.zip onet.pt shape_predictor_68_face_landmarks.dat \\
        src/mien/data/landmarks.safetensors

Two teachers, read for making labels only: the last stage (O-Net) of MTCNN (Zhang et al. 2016; MIT-licensed) for the five
points, and dlib's 68 points (Kazemi & Sullivan 2014; trained on iBUG 300-W, which bars commercial use, as does the license of
our weights) for where the FFHQ crop of a drawing lies. Student: the aligned faces of the zip in gray, turned, moved, scaled,
and drawn over with filters that look like sketches, ink, flat tones and paint, so that what it learns holds for drawings.

The weights of version 0.1.0: 0.7 times those of this script as it was at commit 212181f, with labels of O-Net alone, in three
runs one after the other (13, 14 and 11 minutes), and 0.3 times those of 13 more minutes with both teachers (`--start`).
"""

from __future__ import annotations

import argparse
import io
import math
import time
import zipfile
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from face_drawings import bend, draw, to_gray, weather
from PIL import Image
from torch import Tensor, nn

from mien.checkpoint.face_networks import read_landmark_network, write_landmark_network
from mien.faces.align import CropFrame, ffhq_frame, five_of_68
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
    """All images of the zip, [N, 3, STORED, STORED] uint8, and their names."""
    faces, names = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".webp", ".jpg", ".png")):
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    small = image.convert("RGB").resize((STORED, STORED), Image.Resampling.LANCZOS)
                faces.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
                names.append(name)
    return torch.stack(faces), names


def window(images: Tensor, center: Tensor, half: Tensor, angle: Tensor, size: int) -> Tensor:
    """Square windows of [N, C, H, W]: centers [N, 2] and half sides [N] in units of the image's side, angles in radians."""
    cos, sin = half * torch.cos(angle), half * torch.sin(angle)
    shift = center * 2 - 1
    theta = torch.stack([2 * cos, -2 * sin, shift[:, 0], 2 * sin, 2 * cos, shift[:, 1]], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), images.shape[1], size, size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def label(faces: Tensor, teacher: Teacher) -> tuple[Tensor, Tensor]:
    """The teacher's points [N, 5, 2] in units of the image's side, and how sure it is that there is a face [N].

    Each face is looked at from several boxes and mirrored; the result is the median.
    """
    targets, sure = [], []
    for start in range(0, len(faces), 256):
        batch = faces[start : start + 256].float() / 127.5 - 1
        looks, scores = [], []
        for mirrored in (False, True):
            images = batch.flip(3) if mirrored else batch
            for dx, dy, scale in ((0, 0, 1.0), (0.02, 0, 1.08), (-0.02, 0, 0.94), (0, 0.03, 1.0), (0, -0.03, 1.03)):
                center = torch.tensor([0.5 + dx, 0.57 + dy]).expand(len(batch), 2)
                half = torch.full((len(batch),), 0.27 * scale)
                for _ in range(2):  # the teacher corrects its own box once
                    box, points, score = teacher(window(images, center, half, torch.zeros(len(batch)), 48))
                    found = torch.stack([points[:, :5], points[:, 5:]], dim=2) * 2 * half[:, None, None]
                    found = found + (center - half[:, None])[:, None]
                    side = 2 * half[:, None]
                    low, high = center - half[:, None] + box[:, :2] * side, center + half[:, None] + box[:, 2:] * side
                    center, half = (low + high) / 2, (high - low).amax(dim=1) / 2 * scale
                if mirrored:
                    found = torch.stack([1 - found[..., 0], found[..., 1]], dim=2)[:, [1, 0, 2, 4, 3]]
                looks.append(found)
                scores.append(score[:, 1])
        targets.append(torch.stack(looks).median(dim=0).values)
        sure.append(torch.stack(scores).median(dim=0).values)
    return torch.cat(targets), torch.cat(sure)


def settle(points: Tensor) -> Tensor:
    """Move the teacher's points [N, 5, 2] by the least similarity that makes their FFHQ crop the image itself.

    The images are FFHQ crops by that formula, from other landmarks than the teacher's: so the teacher's errors in position,
    size and direction are known, and taken out.
    """
    frames = [ffhq_frame(face.double() * 1000) for face in points]
    return torch.stack([frame.to_crop(1)(face.double() * 1000) for frame, face in zip(frames, points, strict=True)]).float()


def crop_as_points(frames: list[CropFrame]) -> Tensor:
    """The two points that say where a crop is, [N, 2, 2]: its center, and the middle of its right edge."""
    pairs = [(f.center, (f.center[0] + f.side / 2 * f.x_axis[0], f.center[1] + f.side / 2 * f.x_axis[1])) for f in frames]
    return torch.tensor(pairs, dtype=torch.float32)


def drawings(faces: Tensor, points: Tensor, predictor: Any, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Faces [N, 3, S, S] as caricatures and drawings [M, 1, S, S] uint8, their seven points [M, 7, 2], and whose they are [M].

    Where the FFHQ crop of a drawing is, dlib's predictor says, as it did when people cut out such crops; drawings in which it
    is lost are left out.
    """
    images, targets, whose = [], [], []
    for start in range(0, len(faces), 128):
        batch = slice(start, start + 128)
        bent, seen = bend(to_gray(faces[batch], rng), points[batch], rng)
        drawn = draw(bent, rng, scale=2.0).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        for index in range(len(drawn)):
            frame = dlib_crop(drawn[index], predictor)
            if frame is not None:
                images.append(drawn[index])
                targets.append(torch.cat([seen[index], crop_as_points([frame])[0]]))
                whose.append(start + index)
    return torch.stack(images), torch.stack(targets), torch.tensor(whose)


def dlib_crop(image: Tensor, predictor: Any) -> CropFrame | None:
    """The FFHQ crop by dlib's 68 points of a gray image [1, S, S] uint8 that is about such a crop, in units of its side."""
    large = F.interpolate(image[None].float(), scale_factor=2.0, mode="bilinear")[0, 0].round().to(torch.uint8).numpy()
    size = large.shape[0]
    looks = []
    for x, y, half in ((0.5, 0.59, 0.27), (0.5, 0.57, 0.29)):
        box = dlib.rectangle(*(round(v * size) for v in (x - half, y - half, x + half, y + half)))
        looks.append(torch.tensor([[p.x + 0.5, p.y + 0.5] for p in predictor(large, box).parts()]))
    frame = ffhq_frame(five_of_68(torch.stack(looks).mean(dim=0).double()))
    x, y = (v / size for v in frame.center)
    found = CropFrame((x, y), frame.side / size, frame.angle)
    good = math.hypot(x - 0.5, y - 0.5) < 0.08 and 0.82 < found.side < 1.22 and abs(found.angle) < 9
    return found if good else None


def view(images: Tensor, points: Tensor, size: int, field: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random looks at images [N, 1, S, S]: crops [N, 1, size, size] and their points [N, 7, 2] in crop units.

    Two kinds: a first look (moved, turned by up to 50 degrees, of another size) and a second one (nearly right already).
    """
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=rng)

    flip = torch.rand(n, generator=rng) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    mirrored = torch.stack([1 - points[..., 0], points[..., 1]], dim=2)[:, [1, 0, 2, 4, 3, 5, 6]]
    mirrored[:, 6] = 2 * mirrored[:, 5] - mirrored[:, 6]
    points = torch.where(flip[:, None, None], mirrored, points)

    first = torch.rand(n, generator=rng) < 0.5
    angle = torch.where(first, uniform(-50, 50, n) * uniform(0.3, 1, n), uniform(-8, 8, n)) * (math.pi / 180)
    half = 0.5 * field * torch.exp(torch.where(first, uniform(-0.28, 0.28, n), uniform(-0.08, 0.08, n)))
    center = 0.5 + torch.where(first[:, None], uniform(-0.11, 0.11, n, 2), uniform(-0.03, 0.03, n, 2))
    crops = window(images, center, half, angle, size)
    cos, sin = torch.cos(angle) / half, torch.sin(angle) / half
    back = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], dim=1)
    return crops, (points - center[:, None]) @ back.mT / 2 + 0.5


def square(points: Tensor) -> Tensor:
    """The FFHQ crop of points [N, 7, 2] as center and half x axis [N, 4], differentiable (twin of `ffhq_frame`)."""
    eyes, mouth = points[:, :2].mean(dim=1), points[:, 3:5].mean(dim=1)
    across, down = points[:, 1] - points[:, 0], mouth - eyes
    direction = F.normalize(across + torch.stack([down[:, 1], -down[:, 0]], dim=1), dim=1)
    half = torch.maximum(2.0 * across.norm(dim=1), 1.8 * down.norm(dim=1))
    return torch.cat([eyes + 0.1 * down, direction * half[:, None]], dim=1)


def train(
    images: Tensor, points: Tensor, chance: Tensor, network: LandmarkNetwork, minutes: float, rate: float, seed: int
) -> LandmarkNetwork:
    """Adam with a cosine schedule over CPU time on images [M, 1, S, S] uint8; returns the running mean of the weights."""
    rng = torch.Generator().manual_seed(seed)
    config = network.config
    network = network.train().requires_grad_(True).to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    batch, start, step, shown = 128, time.process_time(), 0, 0
    while (done := (time.process_time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
        index = torch.multinomial(chance, batch, generator=rng)
        crops, target = view(images[index].float() / 127.5 - 1, points[index], config.size, config.field, rng)
        crops = weather(crops, rng)
        with torch.autocast("cpu", torch.bfloat16):
            features = network.features(crops)
        output = network.read_out(features.float())
        by_formula, its_target = square(output), square(target)
        loss = F.smooth_l1_loss(output, target, beta=0.02)
        loss = loss + 0.5 * F.smooth_l1_loss(by_formula, its_target, beta=0.02)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean.update_parameters(network)
        step, shown = step + 1, shown + batch
        if step % 100 == 0:
            error = (output.detach() - target)[:, 5:].norm(dim=2).mean()
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
    parser.add_argument("predictor", type=Path, help="shape_predictor_68_face_landmarks.dat of face_recognition_models 0.3.0")
    parser.add_argument("out", type=Path, help="where to write the network")
    parser.add_argument("--minutes", type=float, default=12.0, help="CPU time of the training proper (one thread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drawings", type=int, default=5, help="drawings made of each face")
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
    faces, points = faces[good], settle(points[good])
    # The two small folders are the varied ones: shown four times as often.
    weight = torch.tensor([1.0 if "studio" in names[index] else 4.0 for index in good.tolist()])
    rng = torch.Generator().manual_seed(options.seed)
    torch.manual_seed(options.seed)
    gray = torch.cat([to_gray(part, rng) for part in faces.split(256)]).clamp(-1, 1).add(1).mul(127.5).to(torch.uint8)
    whole = crop_as_points([CropFrame((0.5, 0.5), 1.0)]).expand(len(faces), 2, 2)
    images, targets, chances = [gray], [torch.cat([points, whole], dim=1)], [weight * options.drawings / 2]
    predictor = dlib.shape_predictor(str(options.predictor))
    for _ in range(options.drawings):
        drawn, seen, whose = drawings(faces, points, predictor, rng)
        print(f"{len(drawn)} drawings of {len(faces)} faces", flush=True)
        images, targets, chances = [*images, drawn], [*targets, seen], [*chances, weight[whose]]
    network = LandmarkNetwork(LandmarkConfig()) if options.start is None else read_landmark_network(options.start)
    rate = 2e-3 if options.start is None else 1e-3
    network = train(torch.cat(images), torch.cat(targets), torch.cat(chances), network, options.minutes, rate, options.seed)
    provenance = {
        "name": "mien landmarks",
        "source": f"tools/train_landmarks.py on {len(faces)} faces; points labelled by MTCNN's O-Net (facenet-pytorch 2.5.3), "
        "crops of drawings by dlib's 68 points (face_recognition_models 0.3.0)",
        "seed": options.seed,
        "minutes": options.minutes,
    }
    write_landmark_network(options.out, network, provenance)
    print(f"{options.out}: {options.out.stat().st_size} bytes, {sum(p.numel() for p in network.parameters())} parameters")


if __name__ == "__main__":
    main()
