"""Train the identity network of mien (src/mien/data/identity.safetensors).

    python tools/train_identity.py faces-train-256.zip mobilefacenet.safetensors src/mien/data/identity.safetensors \\
        --held-out faces-eval-256.zip

Teacher, read for making labels only: MobileFaceNet (Chen et al. 2018; the weights are the user's own and no part of mien),
which sees each face by the five points of our landmark network. Its embeddings are computed once: for the faces of the zip, the
same faces bent into other people's, faces put together from two, renderings of the embedded model, and the mirror images of
them all. (A thousand varied faces are too few to learn from; what counts is the teacher's embedding, not that anybody looks
like that: Beyer et al. 2022, "A good teacher is patient and consistent".) The student then sees them moved, in other light and
colors, gray, soft and small, and has to give the same embeddings (cosine), and the same similarities among the faces of a batch
(relational distillation, Park et al. 2019).
"""

from __future__ import annotations

import argparse
import math
import time
from importlib.resources import files
from pathlib import Path

import torch
import torch.nn.functional as F
from face_drawings import bend, weather
from torch import Tensor
from train_landmarks import STORED, read_faces, window

from mien.checkpoint import load_model
from mien.checkpoint.face_networks import read_landmark_network, read_mobilefacenet, write_identity_network
from mien.latents import broadcast
from mien.losses.features import gray
from mien.models.identity import IdentityConfig, IdentityNetwork
from mien.models.landmarks import LandmarkNetwork
from mien.models.mobilefacenet import MobileFaceNet, crop_faces

KEPT = 96
"""Side in pixels at which faces are kept for the student: a little more than it sees."""


def five_points(images: Tensor, network: LandmarkNetwork) -> Tensor:
    """Five points [N, 5, 2] of faces [N, 3, S, S] that fill the FFHQ frame, in units of the side; the mean of three looks."""
    n, looks = len(images), []
    for factor in (0.94, 1.0, 1.06):
        half = torch.full((n,), 0.5 * network.config.field * factor)
        crops = window(images, torch.full((n, 2), 0.5), half, torch.zeros(n), network.config.size)
        looks.append(0.5 + (network(crops)[:, :5] - 0.5) * 2 * half[:, None, None])
    return torch.stack(looks).mean(dim=0)


def teacher_embeddings(images: Tensor, teacher: MobileFaceNet, landmarks: LandmarkNetwork) -> Tensor:
    """The teacher's unit embeddings [N, 2, 128] of images [N, 3, S, S] uint8 and of their mirror images."""
    found = []
    with torch.inference_mode():
        for part in images.split(64):
            faces = part.float() / 127.5 - 1
            seen = []
            for looked in (faces, faces.flip(3)):
                crops = crop_faces(looked, five_points(looked, landmarks))
                with torch.autocast("cpu", torch.bfloat16):
                    seen.append(F.normalize(teacher(crops).float(), dim=1))
            found.append(torch.stack(seen, dim=1))
    return torch.cat(found).clone()


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8."""
    return images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def bent(faces: Tensor, landmarks: LandmarkNetwork, rng: torch.Generator) -> Tensor:
    """Faces [N, 3, S, S] uint8 with features moved, made larger or smaller: people that nobody has photographed."""
    parts = []
    with torch.inference_mode():
        for part in faces.split(128):
            images = part.float() / 127.5 - 1
            parts.append(to_bytes(bend(images, five_points(images, landmarks), rng)[0]))
    return torch.cat(parts)


def chimeras(faces: Tensor, chance: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Faces [count, 3, S, S] uint8, each of two of `faces` [N, 3, S, S] uint8 that melt into each other somewhere."""
    parts = []
    for start in range(0, count, 128):
        n = min(128, count - start)
        one, other = (faces[torch.multinomial(chance, n, generator=rng)].float() for _ in range(2))
        other = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.5, other.flip(3), other)
        rough = torch.randn(n, 1, 3, 3, generator=rng)
        share = torch.sigmoid(4 * F.interpolate(rough, faces.shape[2:], mode="bicubic", align_corners=False))
        parts.append(other.lerp(one, share).round().to(torch.uint8))
    return torch.cat(parts)


def renderings(count: int, rng: torch.Generator) -> Tensor:
    """Faces [count, 3, STORED, STORED] uint8 of the embedded model, psi 0.5 to 1."""
    model = load_model(Path(str(files("mien") / "data" / "faces.safetensors")))
    generator, parts = model.generator, []
    with torch.inference_mode():
        for start in range(0, count, 32):
            z = torch.randn(min(32, count - start), generator.config.z_dim, generator=rng)
            w = generator.mapping(z)
            w = generator.mapping.w_avg.lerp(w, 0.5 + 0.5 * torch.rand(len(w), 1, generator=rng))
            codes = generator.synthesis.styles(broadcast(w, generator.num_ws))
            images = generator.synthesis.synthesize(codes, generator.synthesis.noise("const"))
            large = F.interpolate(images, (STORED, STORED), mode="bicubic", align_corners=False)
            parts.append(to_bytes(large))
    return torch.cat(parts)


def kept(images: Tensor) -> Tensor:
    """[N, 3, S, S] uint8 at the side at which the student's images are kept."""
    size = (KEPT, KEPT)
    small = [F.interpolate(p.float(), size, mode="bilinear", antialias=True, align_corners=False) for p in images.split(256)]
    return torch.cat([part.round().to(torch.uint8) for part in small])


def softened(faces: Tensor, field: float, rng: torch.Generator) -> Tensor:
    """Faces [N, 3, S, S], half of them as an image of 28 to 72 pixels shows them, enlarged again."""
    parts = list(faces.chunk(8))
    for index in range(0, len(parts), 2):
        side = round(field * float(torch.randint(28, 73, (), generator=rng)))
        small = F.interpolate(parts[index], (side, side), mode="bilinear", antialias=True, align_corners=False)
        parts[index] = F.interpolate(small, faces.shape[2:], mode="bilinear", antialias=True, align_corners=False)
    return torch.cat(parts)


def disturbed(images: Tensor, config: IdentityConfig, rng: torch.Generator) -> Tensor:
    """What the student sees of images [N, 3, S, S] in [-1, 1]: [N, 3, size, size], no two looks alike."""
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=rng)

    half = 0.5 * config.field * torch.exp(uniform(-0.07, 0.07, n))
    faces = window(images, 0.5 + uniform(-0.025, 0.025, n, 2), half, uniform(-0.1, 0.1, n), config.size)
    tint = torch.eye(3) + 0.1 * torch.randn(n, 3, 3, generator=rng)
    faces = torch.einsum("nchw,ndc->ndhw", faces, tint)
    faces = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.35, gray(faces), faces)
    return weather_in_color(softened(faces, config.field, rng), rng)


def weather_in_color(faces: Tensor, rng: torch.Generator) -> Tensor:
    """`weather`, which is made for gray images, on color: the same light on all channels."""
    light = faces.mean(dim=1, keepdim=True)
    return (faces - light) + weather(light, rng)


def train(
    images: Tensor, targets: Tensor, chance: Tensor, minutes: float, seed: int, out: Path, provenance: dict[str, object]
) -> IdentityNetwork:
    """Adam with a cosine schedule over CPU time; returns the running mean of the weights, written every three minutes too."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = IdentityNetwork(IdentityConfig()).to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.997), use_buffers=True
    )
    student: IdentityNetwork = mean.module
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    batch, start, step, written = 128, time.process_time(), 0, 0.0
    while (done := (time.process_time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, step / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
        index = torch.multinomial(chance, batch, generator=rng)
        flip = torch.rand(batch, generator=rng) < 0.5
        seen = images[index].float() / 127.5 - 1
        seen = torch.where(flip[:, None, None, None], seen.flip(3), seen)
        target = targets[index, flip.long()]
        looks = disturbed(seen, network.config, rng).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            output = network(looks)
        alike = (output * target).sum(dim=1).mean()
        relations = F.mse_loss(output @ output.T, target @ target.T)
        loss = (1 - alike) + 5 * relations
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean.update_parameters(network)
        step += 1
        if step % 100 == 0:
            seconds = time.process_time() - start
            shown = f"{step * batch:8d} faces, cosine {float(alike.detach()):.4f}, relations {float(relations.detach()):.5f}"
            print(f"{seconds:5.0f} s {shown}", flush=True)
            if seconds - written > 180:
                written = seconds
                write_identity_network(out, student, provenance)
    return student.eval().requires_grad_(False)


def small_and_back(images: Tensor, side: int) -> Tensor:
    """Images [N, 3, S, S] as they look at `side` pixels."""
    small = F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)


def measure(path: Path, network: IdentityNetwork, teacher: MobileFaceNet, landmarks: LandmarkNetwork) -> str:
    """How the student does on faces that neither it nor its trainer has seen, beside its teacher."""
    stored, _ = read_faces(path)
    photos = stored.float() / 127.5 - 1
    n, rng = len(photos), torch.Generator().manual_seed(1)
    looks = {
        "photo": photos,
        "gray": gray(photos),
        "32 px": small_and_back(photos, 32),
        "64 px": small_and_back(photos, 64),
        "noise": (photos + 0.3 * torch.randn(photos.shape, generator=rng)).clamp(-1, 1),
        "dark": photos * 0.5 - 0.3,
        "moved": window(photos, torch.full((n, 2), 0.515), torch.full((n,), 0.48), torch.full((n,), 0.05), STORED),
    }
    with torch.inference_mode():
        by_teacher = {name: teacher_embeddings(to_bytes(look), teacher, landmarks)[:, 0] for name, look in looks.items()}
        by_student = {name: network.embed_crop(look) for name, look in looks.items()}
    lines = ["             student-teacher   with the photo: by student   by teacher"]
    first, second = [], []
    for name in looks:
        own, its = ((found["photo"] * found[name]).sum(1) for found in (by_student, by_teacher))
        alike = (by_student[name] * by_teacher["photo"]).sum(1)
        lines.append(f"{name:12s} {float(alike.mean()):15.3f} {float(own.mean()):28.3f} {float(its.mean()):12.3f}")
        if name != "photo":
            first.append(own)
            second.append(its)
    pairs = torch.triu_indices(len(photos), len(photos), offset=1)
    own, its = ((f["photo"] @ f["photo"].T)[pairs[0], pairs[1]] for f in (by_student, by_teacher))
    spreads = f"spread {float(own.std()):.3f}, {float(its.std()):.3f}"
    lines.append(f"others       {'':15s} {float(own.mean()):28.3f} {float(its.mean()):12.3f}   ({spreads})")

    def correlation(a: Tensor, b: Tensor) -> float:
        return float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    same = torch.cat(first), torch.cat(second)
    everything = [torch.cat([a, b]) for a, b in zip(same, (own, its), strict=True)]
    lines.append(
        f"correlation with the teacher's similarity: {correlation(own, its):.3f} among different people, "
        f"{correlation(*same):.3f} among looks at one person, {correlation(*everything):.3f} all together"
    )
    return "\n".join(lines)


def main() -> None:
    """Label, train, write, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="zip of faces in the FFHQ frame")
    parser.add_argument("teacher", type=Path, help="MobileFaceNet as .safetensors")
    parser.add_argument("out", type=Path, help="where to write the network")
    parser.add_argument("--minutes", type=float, default=18.0, help="CPU time of the training proper (one thread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--renderings", type=int, default=5000, help="faces made with the embedded model")
    parser.add_argument("--chimeras", type=int, default=20000, help="faces put together from two")
    parser.add_argument("--labels", type=Path, help="keep faces and labels here between runs")
    parser.add_argument("--held-out", type=Path, help="zip of other faces to measure the result with")
    options = parser.parse_args()
    torch.set_num_threads(1)  # small tensors: more threads wait more than they work
    teacher, landmarks = read_mobilefacenet(options.teacher), read_landmark_network()
    if options.labels and options.labels.exists():
        stored = torch.load(options.labels, weights_only=True)
    else:
        rng, apart = (torch.Generator().manual_seed(options.seed + k) for k in range(2))
        faces, names = read_faces(options.faces)
        # The two small folders are the varied ones: shown four times as often.
        weight = torch.tensor([1.0 if "studio" in name else 4.0 for name in names])
        groups = [
            faces,
            bent(faces, landmarks, rng),
            renderings(options.renderings, rng),
            bent(chimeras(faces, weight, options.chimeras, apart), landmarks, apart),
        ]
        stored = {
            "images": torch.cat([kept(group) for group in groups]),
            "targets": torch.cat([teacher_embeddings(group, teacher, landmarks) for group in groups]),
            "chance": torch.cat([weight, weight / 2, torch.ones(options.renderings) / 2, torch.ones(options.chimeras)]),
        }
        if options.labels:
            torch.save(stored, options.labels)
    print(f"{len(stored['images'])} faces", flush=True)
    provenance: dict[str, object] = {
        "name": "mien identity",
        "licence": "CC BY-NC-SA 4.0",
        "source": f"tools/train_identity.py on {len(stored['images'])} faces (photos, machine-made portraits, mixtures of "
        "them, renderings of mien-faces-64), labelled by MobileFaceNet (Xiaoccer/MobileFaceNet_Pytorch)",
        "seed": options.seed,
        "minutes": options.minutes,
    }
    network = train(
        stored["images"], stored["targets"], stored["chance"], options.minutes, options.seed, options.out, provenance
    )
    write_identity_network(options.out, network, provenance)
    print(f"{options.out}: {options.out.stat().st_size} bytes, {sum(p.numel() for p in network.parameters())} parameters")
    if options.held_out:
        print(measure(options.held_out, network, teacher, landmarks))


if __name__ == "__main__":
    main()
