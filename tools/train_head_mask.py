"""Train the head mask network of mien (src/mien/data/head_mask.safetensors).

    python tools/train_head_mask.py faces-train-256.zip src/mien/data/head_mask.safetensors

No foreign network is involved: the studio portraits stand before a plain wall, so that the person can be cut out by color. Cut
out and put before other backgrounds, drawn over as for the landmarks, they teach the network what a person looks like.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from face_drawings import draw, weather
from torch import Tensor
from train_landmarks import STORED, read_faces

from mien.checkpoint.face_networks import write_head_mask_network
from mien.models.head_mask_network import HeadMaskConfig, HeadMaskNetwork

_LINE = torch.linspace(-1, 1, STORED)
_Y, _X = torch.meshgrid(_LINE, _LINE, indexing="ij")


def _box(x: Tensor, reach: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (reach, reach, reach, reach), mode="replicate"), 2 * reach + 1, 1)


def cut_out(image: Tensor) -> Tensor | None:
    """The mask [STORED, STORED] of a studio portrait [3, STORED, STORED] uint8; None where the wall is not plain enough.

    The wall's color is a quadratic function of place, fitted robustly from the upper border inwards. Background is what has
    about that color and is joined to the border; its edge then follows the image (guided filter, He et al. 2010).
    """
    x = image.float() / 255
    colors = x.reshape(3, -1).T
    terms = torch.stack([torch.ones_like(_X), _X, _Y, _X * _X, _Y * _Y, _X * _Y], dim=-1).reshape(-1, 6)
    weight = ((_Y < -0.93) | ((_X.abs() > 0.9) & (_Y < -0.2))).float().flatten()
    rest = (colors - colors[weight > 0].median(dim=0).values).abs().amax(dim=1)
    where = ((_Y < -0.85) | ((_X.abs() > 0.7) & (_Y < 0.5)) | ((_X.abs() > 0.5) & (_Y < -0.3))).float().flatten()
    for round_ in range(7):
        cut = 0.12 if round_ < 2 else 0.07
        weight = where * (rest < cut) * torch.exp(-0.5 * (rest / (cut / 2)) ** 2)
        some = terms[:, :3] if round_ < 3 else terms
        root = weight[:, None].sqrt()
        rest = (colors - some @ torch.linalg.lstsq(some * root, colors * root).solution).abs().amax(dim=1)
    noise = float((rest * weight).sum() / weight.sum().clamp(min=1))
    like_wall = (rest < min(3 * noise + 0.03, 0.10)).float().reshape(1, 1, STORED, STORED)
    reached = torch.zeros_like(like_wall)
    side = int(0.6 * STORED)
    reached[..., 0, :], reached[..., :side, 0], reached[..., :side, -1] = 1, 1, 1
    reached *= like_wall
    while True:
        further = F.max_pool2d(reached, 3, 1, 1) * like_wall
        if bool((further == reached).all()):
            break
        reached = further
    person = F.max_pool2d(-F.max_pool2d(reached - 1, 3, 1, 1), 3, 1, 1)  # specks and hairlines off
    core = (_X / 0.33) ** 2 + ((_Y - 0.1) / 0.5) ** 2 < 1
    mask = person[0, 0]
    plausible = (
        bool(mask[core].min() > 0.5)
        and 0.25 < float(mask.mean()) < 0.8
        and float(mask[:4].mean()) < 0.8
        and float(mask[:side, :3].mean()) < 0.6
        and float(mask[:side, -3:].mean()) < 0.6
    )
    if not plausible:
        return None
    guide = x.mean(dim=0)[None, None]
    mean_guide, mean_mask = _box(guide, 3), _box(person, 3)
    slope = (_box(guide * person, 3) - mean_guide * mean_mask) / (_box(guide * guide, 3) - mean_guide**2 + 1e-4)
    return (_box(slope, 3) * guide + _box(mean_mask - slope * mean_guide, 3)).clamp(0, 1)[0, 0]


def compose(people: Tensor, masks: Tensor, others: Tensor, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random images [N, 3, size, size] in [-1, 1] of cut-out people before other walls, and their masks at half size."""
    n = len(people)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=rng)

    front = torch.cat([people.float() / 127.5 - 1, masks[:, None]], dim=1)
    flip = torch.rand(n, generator=rng) < 0.5
    front = torch.where(flip[:, None, None, None], front.flip(3), front)
    angle, scale = uniform(-12, 12, n) * (math.pi / 180), torch.exp(uniform(-0.15, 0.15, n))
    shift = uniform(-0.1, 0.1, n, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1).reshape(n, 2, 3)
    grid = F.affine_grid(theta, [n, 4, size, size], align_corners=False)
    front = F.grid_sample(front, grid, mode="bilinear", padding_mode="border", align_corners=False)
    person, mask = front[:, :3], front[:, 3:]
    # Behind: its own wall, a piece of another photo (sharp or blurred), or a gradient with texture.
    zoom = uniform(0.15, 0.6, n)
    place = torch.stack([uniform(-0.8, 0.8, n), uniform(-0.9, -0.2, n)], dim=1)
    theta = torch.stack([zoom, torch.zeros(n), place[:, 0], torch.zeros(n), zoom, place[:, 1]], dim=1).reshape(n, 2, 3)
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    behind = F.grid_sample(others.float() / 127.5 - 1, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    rough = F.interpolate(torch.randn(n, 3, 8, 8, generator=rng), size=(size, size), mode="bilinear", align_corners=False)
    plain = uniform(-1, 1, n, 3, 1, 1) + uniform(0, 0.6, n, 1, 1, 1) * rough
    kind = torch.rand(n, 1, 1, 1, generator=rng)
    back = torch.where(kind < 0.55, behind, torch.where(kind < 0.8, plain, person))
    # The foreground's edge still carries the old wall: pull it in a little where the background is new.
    tight = torch.where(kind < 0.8, ((mask - 0.25) / 0.75).clamp(0, 1), mask)
    image = person * tight + back * (1 - tight)
    mixing = torch.eye(3) + 0.15 * torch.randn(n, 3, 3, generator=rng)
    image = torch.einsum("nchw,ndc->ndhw", image, mixing)
    # Drawn over in brightness, half of them.
    gray = image.mean(dim=1, keepdim=True)
    drawn = (image - gray) * uniform(0.3, 1.5, n, 1, 1, 1) + weather(draw(gray, rng), rng)
    image = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.5, drawn, image)
    return image.clamp(-1, 1), F.avg_pool2d(mask, 2)


def train(people: Tensor, masks: Tensor, others: Tensor, minutes: float, seed: int) -> HeadMaskNetwork:
    """Adam on the cross-entropy; a cosine schedule over CPU time; the running mean of the weights."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = HeadMaskNetwork(HeadMaskConfig())
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    start, step = time.process_time(), 0
    while (done := (time.process_time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, step / 100) * (0.5 + 0.5 * math.cos(math.pi * done))
        index = torch.randint(0, len(people), (64,), generator=rng)
        other = torch.randint(0, len(others), (64,), generator=rng)
        images, target = compose(people[index], masks[index], others[other], network.config.size, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        loss = F.binary_cross_entropy_with_logits(logits.float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean.update_parameters(network)
        step += 1
        if step % 100 == 0:
            wrong = ((logits.float() > 0) != (target > 0.5)).float().mean()
            print(f"{step * 64:7d} images, loss {float(loss.detach()):.4f}, {100 * float(wrong):.2f} % wrong", flush=True)
    trained: HeadMaskNetwork = mean.module
    return trained.eval().requires_grad_(False)


def main() -> None:
    """Cut out, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="zip of faces in the FFHQ frame, some of them studio portraits")
    parser.add_argument("out", type=Path, help="where to write the network")
    parser.add_argument("--minutes", type=float, default=6.0, help="CPU time of the training proper (one thread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", type=Path, help="faces kept by train_landmarks.py --labels, instead of reading the zip")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.labels:
        stored = torch.load(options.labels, weights_only=True)
        faces, names = stored["faces"], stored["names"]
    else:
        faces, names = read_faces(options.faces)
    cut = {i: mask for i, name in enumerate(names) if "studio" in name and (mask := cut_out(faces[i])) is not None}
    others = torch.tensor([index for index, name in enumerate(names) if "studio" not in name])
    print(f"{len(cut)} people cut out, {len(others)} backgrounds")
    network = train(faces[list(cut)], torch.stack(list(cut.values())), faces[others], options.minutes, options.seed)
    provenance = {
        "name": "mien head mask",
        "source": f"tools/train_head_mask.py on {len(cut)} portraits cut out by the color of their wall",
        "seed": options.seed,
        "minutes": options.minutes,
    }
    write_head_mask_network(options.out, network, provenance)
    print(f"{options.out}: {options.out.stat().st_size} bytes, {sum(p.numel() for p in network.parameters())} parameters")


if __name__ == "__main__":
    main()
