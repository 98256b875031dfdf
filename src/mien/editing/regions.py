"""Which S channels of a model drive which part of a face, without labels.

After "Editing in Style" (Collins et al. 2020) and "Retrieve in Style" (RIS; Chong et al. 2021, arXiv 2107.06256): the pixels of
a feature map are clustered by the direction of their features; a channel's contribution to a part is the mean of its squared,
normalized activation there; a softmax over the parts makes memberships of it. Where RIS names its clusters by hand, ours begin
from named seeds: the places that the parts have in the mean face, which five landmarks give. Those places stay a prior.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.regions_file import Regions
from mien.editing.clusters import nearest, seeded_centers, spherical_kmeans
from mien.errors import MienWarning
from mien.faces import find_landmarks, whole_frame
from mien.faces.head_mask import coarse_head_mask
from mien.latents import broadcast, style_layers
from mien.models.generator import Generator
from mien.models.sampling import random_codes
from mien.runtime import Progress, seeded

PARTS = {"eyes": 2, "brows": 2, "nose": 2, "mouth": 2, "jaw": 2, "skin": 4, "hair": 4, "neck": 2, "background": 4}
"""The parts of a crop, and into how many clusters each may fall."""
"""Those that one would keep or exaggerate."""
FFHQ_POINTS = ((0.375, 0.472), (0.625, 0.472), (0.5, 0.62), (0.4, 0.745), (0.6, 0.745))
"""Where the FFHQ crop's formula puts eyes, nose and mouth corners of a usual face, in units of its side."""

_MAP_SIZE = 32
_FACES, _PSI, _TEMPERATURE = 48, 0.8, 0.5
_PLACE_WEIGHT = 0.1  # of the logarithm of the chance, beside a cosine


def places(points: Tensor, head: Tensor) -> Tensor:
    """The part (index in `PARTS`) of every pixel, [N, H, W], by its place: `head` [N, H, W] is True on head, hair and neck.

    `points` [5, 2] are the landmarks of the mean face (eyes, nose, mouth corners) in units of the crop's side.
    """
    height, width = head.shape[1:]
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    left, right, nose, mouth_left, mouth_right = points.float().unbind()
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    unit = float((right - left).norm())  # the distance of the eyes measures everything

    def ellipse(center: Tensor, across: float, down: float) -> Tensor:
        return ((x - center[0]) / (across * unit)) ** 2 + ((y - center[1]) / (down * unit)) ** 2 < 1

    def beside(offset: float, across: float, down: float) -> Tensor:
        return torch.stack([ellipse(eye + torch.tensor([0.0, offset * unit]), across, down) for eye in (left, right)]).any(
            dim=0
        )

    chin = mouth[1] + 0.75 * unit
    top = eyes[1] - 1.15 * unit
    face = ellipse(torch.stack([(eyes[0] + mouth[0]) / 2, (top + chin) / 2]), 1.1, float(chin - top) / 2 / unit)
    label = torch.full((height, width), _index("skin"))
    label[y > mouth[1] - 0.1 * unit] = _index("jaw")
    label[~face] = _index("hair")
    label[~face & (y > chin)] = _index("neck")
    label[ellipse(torch.stack([nose[0], (eyes[1] + 2 * nose[1]) / 3]), 0.32, 0.42)] = _index("nose")
    label[ellipse(mouth, 0.55, 0.26)] = _index("mouth")
    label[beside(-0.36, 0.46, 0.15)] = _index("brows")
    label[beside(0.0, 0.36, 0.2)] = _index("eyes")
    return torch.where(head, label, torch.full_like(label, _index("background")))


def _index(part: str) -> int:
    return list(PARTS).index(part)


@torch.no_grad()
def mean_face_points(generator: Generator) -> Tensor:
    """The landmarks [5, 2] of a model's mean face in units of the crop's side; where none are found it warns, and guesses."""
    w_plus = broadcast(generator.mapping.w_avg[None], generator.num_ws)
    face = generator(w_plus, generator.synthesis.noise("const"))[0].clamp(-1, 1).cpu()
    side = generator.config.resolution
    found = find_landmarks(face, whole_frame(side, side))
    if found is None:
        warnings.warn(
            "No face was found in the model's mean face: its parts are looked for where FFHQ crops have them.",
            MienWarning,
            stacklevel=2,
        )
        return torch.tensor(FFHQ_POINTS)
    return found.float() / side


@torch.no_grad()
def find_regions(
    generator: Generator, base: str, points: Tensor, *, faces: int = _FACES, seed: int = 0, progress: Progress | None = None
) -> Regions:
    """Divide the random faces of a model into parts, and find which S channels drive each.

    `base` is the generator's digest, `points` [5, 2] the landmarks of its mean face in units of the crop's side.
    """
    network, size = generator.synthesis, min(_MAP_SIZE, generator.config.resolution)
    noise, codes = network.noise("const"), random_codes(generator, faces, seed=seed, psi=_PSI)
    styles = [network.styles(code) for code in torch.split(codes, 1)]
    maps, heads = [], []
    for index, style in enumerate(styles):
        maps.append(network.features(style, noise, (size,))[size])
        heads.append(coarse_head_mask(network.synthesize(style, noise).clamp(-1, 1).cpu())[0])
        if progress is not None:
            progress(index + 1, 2 * faces, 0.0)
    vectors = torch.cat([_vectors(features) for features in maps])
    head = F.interpolate(torch.stack(heads), (size, size), mode="area")[:, 0] > 0.5
    labels = places(points, head)
    place = _blurred(F.one_hot(labels, len(PARTS)).float().mean(dim=0).permute(2, 0, 1)).to(vectors.device)
    first, owners = seeded_centers(vectors, labels.flatten().to(vectors.device), list(PARTS.values()), seeded(seed))
    centers = spherical_kmeans(vectors, first, _prior(place, owners).repeat(faces, 1))
    regions = Regions(base, tuple(PARTS), size, centers, owners, place, {})
    sums = _Contributions(generator)
    for index, (style, features) in enumerate(zip(styles, maps, strict=True)):
        with sums.watching(region_maps(regions, features)[0]):
            network.synthesize(style, noise)
        if progress is not None:
            progress(faces + index + 1, 2 * faces, 0.0)
    return replace(regions, centers=centers.cpu(), place=place.cpu(), membership=sums.membership())


def region_maps(regions: Regions, features: Tensor) -> Tensor:
    """Which part each pixel of a feature map [N, C, h, w] (the block `regions.size`) belongs to: [N, parts, h, w], 0 or 1."""
    (n, _, h, w), device = features.shape, features.device
    prior = _prior(regions.place.to(device), regions.owners).repeat(n, 1)
    owner = regions.owners.to(device)[nearest(_vectors(features), regions.centers.to(device), prior)]
    return F.one_hot(owner, len(regions.names)).reshape(n, h, w, -1).permute(0, 3, 1, 2).float()


def _vectors(features: Tensor) -> Tensor:
    """A vector per pixel, [N * h * w, C]; a little blurred, for a single pixel's features tell edges rather than parts."""
    return _blurred(features.float()).permute(0, 2, 3, 1).flatten(0, 2)


def _blurred(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def _prior(place: Tensor, owners: Tensor) -> Tensor:
    """What the place of each pixel adds to the cosine with each center, [h * w, K]."""
    chance = place / place.sum(dim=0, keepdim=True).clamp(min=1e-6)
    return _PLACE_WEIGHT * (chance + 0.01).log().flatten(1).T[:, owners.to(place.device)]


class _Contributions:
    """Sums of every modulated layer's input over the parts of many images: what a style's channel scales, and where."""

    def __init__(self, generator: Generator) -> None:
        self.network = generator.synthesis
        self.layers = [layer.name for layer in style_layers(generator.config.resolution)]
        self.sums: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    @contextmanager
    def watching(self, parts: Tensor) -> Iterator[None]:
        """While rendering one image whose parts are `parts` [parts, h, w]."""
        handles = [
            self.network.layer(name).register_forward_pre_hook(lambda _, given, name=name: self._add(name, given[0], parts))
            for name in self.layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _add(self, name: str, x: Tensor, parts: Tensor) -> None:
        share = F.adaptive_avg_pool2d(parts[None], x.shape[-1]) if x.shape[-1] <= parts.shape[-1] else None
        if share is None:
            share = F.interpolate(parts[None], x.shape[-2:], mode="nearest")
        share, values = share[0].flatten(1).double(), x[0].flatten(1).double()
        new = share @ values.T, share @ values.square().T, share.sum(dim=1)
        old = self.sums.get(name)
        self.sums[name] = new if old is None else (old[0] + new[0], old[1] + new[1], old[2] + new[2])

    def membership(self) -> dict[str, Tensor]:
        """{S layer: [parts, channels]}: softmax over the parts of the mean squared activation, normalized per channel."""
        found: dict[str, Tensor] = {}
        for name, (first, second, count) in self.sums.items():
            mean = first.sum(dim=0) / count.sum()
            variance = (second.sum(dim=0) / count.sum() - mean.square()).clamp(min=1e-12)
            pixels = count[:, None].clamp(min=1e-6)
            energy = (second / pixels - 2 * mean * first / pixels + mean.square()) / variance
            energy = torch.where(count[:, None] > 0, energy, torch.zeros_like(energy))
            found[name] = torch.softmax(energy / _TEMPERATURE, dim=0).float().cpu()
        return found
