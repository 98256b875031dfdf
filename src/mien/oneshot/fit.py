"""From aligned references and their codes to a style: what the one-shot loop is given, and what is kept of it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.model_file import generator_digest
from mien.errors import ModelMismatchError
from mien.latents import StyleCodes
from mien.losses.extractors import Judge
from mien.models.embedders import Embedder
from mien.models.model import Model
from mien.oneshot.callbacks import Follower
from mien.oneshot.checkpointing import SavedFit
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.deltas import changes
from mien.oneshot.layer_masks import small_family
from mien.oneshot.tuner import OneShotTuner
from mien.runtime import Progress

NO_DISCRIMINATOR = "This model has no discriminator, which fine-tuning needs: use a checkpoint that holds both networks."


@dataclass(frozen=True)
class References:
    """What a style is learned from: N aligned pictures."""

    pictures: Tensor
    """[N, 3, R, R] in [-1, 1]."""
    w_plus: Tensor
    """Their codes, [N, num_ws, w_dim]."""
    weights: list[float]
    """How much each counts."""
    valid: Tensor
    """[N, 1, R, R] in [0, 1]: how much of each pixel lies inside the picture that the reference was cut from."""
    detail: Tensor | None = None
    """Their detail maps [N, C, r, r]; None: they have none."""
    fresh: Tensor | None = None
    """Codes [M, num_ws, w_dim] that random layers are taken from; None: the mapping network's."""
    mirrored: bool = False
    """Whether the second half are mirror images of the first, in their order; `weights` then are those of the first half."""
    styles: StyleCodes | None = None
    """S codes [N] to learn from in place of those of `w_plus`."""
    features: Mapping[str, Mapping[str, Tensor]] | None = None
    """Channels of the parts of the face that the mask names, {part: {S layer: [channels] bool}}."""
    identity: Embedder | None = None
    """The network of the identity loss; None: the one that comes with mien."""
    judge: Judge | None = None
    """What makes the feature maps that are compared; None: what the settings name."""

    @property
    def invented(self) -> list[float]:
        """The share of each reference that lies beyond its picture's border and was made up, 0 to 1."""
        # Pixels that touch the border from inside are no addition: only centres outside count.
        return [float(share) for share in (self.valid[: len(self.weights)] < 0.5).float().mean(dim=(1, 2, 3))]


def learn(
    model: Model, references: References, config: OneShotConfig, *, dtype: torch.dtype = torch.float32,
    snapshots: SnapshotConfig | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:  # fmt: skip
    """Fine-tune a copy of the model's generator: what changed (as `changes` says), and how it was made, for the style file.

    `dtype` is that of the convolutions; `snapshots` says what is written on the way, and where to resume. Warns where the mask
    makes too small a family of codes. Raises `ModelMismatchError` for a model without a discriminator.
    """
    if model.discriminator is None:
        raise ModelMismatchError(NO_DISCRIMINATOR)
    snapshots, base = snapshots or SnapshotConfig(), model.provenance.digest or generator_digest(model.generator)
    saved = SavedFit.read(snapshots.state) if snapshots.state else None
    w_plus, fresh, detail = references.w_plus, references.fresh, references.detail
    if saved:
        w_plus, fresh, detail = saved.codes(w_plus), saved.fresh(fresh), saved.detail(detail)
    device, padded = w_plus.device, any(references.invented)
    weights = references.weights * (2 if references.mirrored else 1)
    tuner = OneShotTuner(
        model.generator, model.discriminator, references.pictures.to(device), w_plus,
        config, weights=torch.tensor(weights, device=device), valid=references.valid.to(device) if padded else None,
        styles=references.styles, features=references.features, identity=references.identity, judge=references.judge,
        fresh=fresh, detail=detail, mirrored=references.mirrored, dtype=dtype,
    )  # fmt: skip
    if saved:
        saved.resume(tuner, base)
    warning = small_family(model.generator, w_plus[:1], tuner.family.layers)
    if warning is not None:
        warnings.warn(warning, stacklevel=3)
    follower = Follower(tuner, snapshots, base)
    losses = tuner.run(progress, follower)
    follower.finish()
    # Settings that were not given are not written down: a later mien may add some.
    settings = {name: value for name, value in asdict(config).items() if value is not None}
    ends = [round(losses[i], 5) for i in (0, -1)] if losses else []
    made: dict[str, Any] = {
        "fit": settings | {"dtype": str(dtype).removeprefix("torch.")},
        "weights": references.weights,
        "loss": ends,
    }
    made["family"] = "mapping" if references.fresh is None else "encoder"
    made["detail"] = tuner.family.detail is not None
    made["mirrored"] = references.mirrored
    if config.steps == "auto":
        made["steps"] = len(losses)
    if padded:
        made["invented"] = [round(share, 3) for share in references.invented]
    return changes(model.generator.synthesis, tuner.synthesis), made


def reference_weights(digests: Sequence[str], weights: Sequence[float] | None = None) -> tuple[list[int], list[float]]:
    """Merge references with the same content: indices of the first of each, and their summed weights."""
    first: dict[str, int] = {}
    total: dict[str, float] = {}
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
        total[digest] = total.get(digest, 0.0) + (1.0 if weights is None else weights[i])
    return list(first.values()), list(total.values())


def content_digest(crop: Tensor) -> str:
    """The SHA-256 of a picture's numbers."""
    return hashlib.sha256(crop.numpy().tobytes()).hexdigest()
