"""What a report on a model is made of: images rendered, described by the measuring networks, and compared.

Every image is rounded to 8 bits before it is measured, as if it had been saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.evaluation.model_report.workspace import Workspace
from mien.latents import Codes
from mien.losses.extractors import FeatureExtractor
from mien.media.eight_bit import to_uint8
from mien.metrics.distances import cosine_statistics, cosines, frechet_distance, kernel_distance
from mien.metrics.perceptual import as_images, identity_features, perceptual_distance
from mien.models.mobilefacenet import MobileFaceNet
from mien.models.model import Model
from mien.models.sampling import images_of

_Result = TypeVar("_Result")
Tick = Callable[[float], None]
Features = dict[str, Tensor]

_METHOD = 3
"""To be raised when features come to be computed otherwise: what was kept before is then made again."""


@dataclass(frozen=True)
class Instruments:
    """The measuring networks at hand; what needs one that is None is left out of the report."""

    features: FeatureExtractor | None = None
    identity: MobileFaceNet | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    """Name of the network -> hash of its file."""


@dataclass(frozen=True)
class Inversion:
    """How images become codes; given by the caller, since measuring does not know of inversion."""

    start: Callable[[Tensor], Codes]
    """Images [N, 3, R, R] in [-1, 1] -> codes."""
    start_name: str = "encoder"
    """What `start` is."""
    refine: Callable[[Tensor, Codes], Codes] | None = None
    """Images and the codes to start from -> better codes."""
    refine_steps: int = 0
    """Optimization steps that `refine` takes."""


def device_of(model: Model) -> torch.device:
    """Where the model's generator lives."""
    return model.generator.mapping.w_avg.device


def pixels_of(model: Model, codes: Tensor, batch: int = 16, feature_code: Tensor | None = None) -> Tensor:
    """The images [N, 3, R, R] of W+ codes, and of feature codes where there are any, as uint8, with the stored noise."""
    return to_uint8(images_of(model.generator.synthesis, codes, feature_code, batch=batch))


def describe(pixels: Tensor, instruments: Instruments) -> Features:
    """The features of one batch of images (uint8) in every network at hand: `pooled` [N, D], `identity` [N, 128]."""
    found = {}
    if instruments.features is not None:
        found["pooled"] = instruments.features.vectors(as_images(pixels))
    if instruments.identity is not None:
        found["identity"] = identity_features(instruments.identity, pixels).cpu()
    return found


@dataclass
class Session:
    """What all parts of one report share."""

    model: Model
    instruments: Instruments
    workspace: Workspace
    seed: int
    batch: int
    digests: dict[str, str]
    """Of the model's parts: which model it is."""
    tick: Tick = lambda work: None
    """Told of work done, in units of one image described."""

    def describe_all(
        self, name: str, settings: Mapping[str, object], source: Callable[[int, int], Tensor], count: int, work: float
    ) -> Features:
        """`describe` for `count` images, kept under `name` and `settings`.

        `source(start, stop)` gives a batch, uint8 [stop - start, 3, R, R]; one image is `work` units of work.
        """
        told = 0.0

        def make() -> Features:
            nonlocal told
            parts: list[Features] = []
            with torch.no_grad():
                for start in range(0, count, self.batch):
                    stop = min(count, start + self.batch)
                    parts.append(describe(source(start, stop), self.instruments))
                    told += (stop - start) * work
                    self.tick((stop - start) * work)
            return {part: torch.cat([features[part] for features in parts]) for part in parts[0]}

        settings = {**settings, "networks": dict(self.instruments.digests), "count": count, "method": _METHOD}
        found = self.workspace.kept(name, settings, make)
        self.tick(count * work - told)  # what was kept counts as done
        return found


def set_distances(a: Features, b: Features) -> dict[str, float]:
    """Frechet and kernel distance of two sets in the features; empty where these are missing."""
    if "pooled" not in a:
        return {}
    return {
        "fd": frechet_distance(a["pooled"], b["pooled"]),
        "kd": kernel_distance(a["pooled"], b["pooled"]),
    }


def diversity(features: Features) -> dict[str, Any]:
    """How alike the faces of a set are, by identity; empty where these features are missing."""
    return vars(cosine_statistics(features["identity"])).copy() if "identity" in features else {}


@dataclass(frozen=True)
class Verdict:
    """How close renderings are to their originals, one number per image."""

    l1: Tensor
    """[N] mean absolute difference, images in [-1, 1]."""
    identity: Tensor | None
    """[N] cosine of the identity embeddings; None without that network."""
    perceptual: Tensor | None
    """[N] perceptual distance; None without that network."""

    def summary(self) -> dict[str, float]:
        """Means, and for the identity also median, minimum and the share of images from 0.6 up."""
        found = {"l1": float(self.l1.mean())}
        if self.identity is not None:
            found |= {
                "identity": float(self.identity.mean()),
                "identity_median": float(self.identity.median()),
                "identity_min": float(self.identity.min()),
                "identity_share_from_0.6": float((self.identity >= 0.6).double().mean()),
            }
        if self.perceptual is not None:
            found["perceptual"] = float(self.perceptual.mean())
        return found


def judge(originals: Tensor, renderings: Tensor, instruments: Instruments, batch: int = 16) -> Verdict:
    """Compare images (uint8, [N, 3, R, R]) one to one."""
    pairs = list(zip(torch.split(originals, batch), torch.split(renderings, batch), strict=True))
    l1 = torch.cat([(as_images(a) - as_images(b)).abs().mean((1, 2, 3)) for a, b in pairs])
    identity = perceptual = None
    with torch.no_grad():
        if (network := instruments.identity) is not None:
            identity = torch.cat([cosines(identity_features(network, a), identity_features(network, b)) for a, b in pairs])
        if (judge_network := instruments.features) is not None:
            perceptual = torch.cat([perceptual_distance(judge_network, a, b).cpu() for a, b in pairs])
    return Verdict(l1, identity, perceptual)


def yardsticks(originals: Tensor, instruments: Instruments, batch: int = 16) -> dict[str, dict[str, float]]:
    """What an inversion is to be read beside: another person's photo, and the photo reduced to 32 px and back."""
    small = F.interpolate(as_images(originals), (32, 32), mode="bicubic", align_corners=False, antialias=True)
    back = F.interpolate(small, originals.shape[2:], mode="bicubic", align_corners=False)
    found = {"reduced_to_32px": judge(originals, to_uint8(back), instruments, batch).summary()}
    if len(originals) > 1:
        found["another_person"] = judge(originals, originals.roll(1, 0), instruments, batch).summary()
    return found


def timed(function: Callable[[], _Result]) -> tuple[_Result, float]:
    """The result, and how many seconds it took."""
    start = time.perf_counter()
    result = function()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return result, time.perf_counter() - start
