"""From references and their codes to a style: the loop is run, and what is kept of it is collected."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.model_file import generator_digest
from mien.errors import MienWarning, ModelMismatchError
from mien.folder_lock import only_process
from mien.losses.extractors import FeatureMaps
from mien.models.embedders import Embedder
from mien.models.model import Model
from mien.oneshot.callbacks import Follower
from mien.oneshot.checkpointing import SavedFit
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.oneshot.deltas import weight_deltas
from mien.oneshot.layer_masks import too_few_codes
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from mien.runtime import Progress

NO_DISCRIMINATOR = "This model has no discriminator, which fine-tuning needs: use a checkpoint that holds both networks."


def learn(
    model: Model, references: References, config: OneShotConfig, *, extractor: FeatureMaps | None = None,
    identity: Embedder | None = None, dtype: torch.dtype = torch.float32, snapshots: SnapshotConfig | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:  # fmt: skip
    """Fine-tune a copy of the model's generator: its `weight_deltas`, and how they were made, for the style file.

    `extractor`, `identity` and `dtype` are those of `OneShotTuner`; `snapshots` says what is written on the way, and where to
    resume. Warns where the random codes of the mask differ too little. Raises `ModelMismatchError` for a model without a
    discriminator, and `InputError` where another process has the folder of the state.
    """
    if model.discriminator is None:
        raise ModelMismatchError(NO_DISCRIMINATOR)
    snapshots, base = snapshots or SnapshotConfig(), model.provenance.digest or generator_digest(model.generator)
    with only_process(snapshots.state) if snapshots.state else nullcontext():
        saved = SavedFit.read(snapshots.state) if snapshots.state else None
        if saved:
            references = saved.references(references)
        tuner = OneShotTuner(
            model.generator, model.discriminator, references, config, extractor=extractor, identity=identity, dtype=dtype
        )
        if saved:
            saved.resume(tuner, base)
        warning = too_few_codes(model.generator, references.w_plus[:1], tuner.mixing.layers)
        if warning is not None:
            warnings.warn(warning, MienWarning, stacklevel=3)
        follower = Follower(tuner, snapshots, base)
        tuner.run(progress, follower)
        follower.finish()
    return weight_deltas(model.generator.synthesis, tuner.result), made_by(tuner)


def made_by(tuner: OneShotTuner) -> dict[str, Any]:
    """How a tuner has made a style, as JSON. The names are those of style files, and stay as they are."""
    references, config, losses = tuner.references, tuner.config, tuner.losses
    # Settings that were not given are not written down: a later mien may add some.
    settings = {name: value for name, value in asdict(config).items() if value is not None}
    made: dict[str, Any] = {
        "fit": settings | {"dtype": str(tuner.dtype).removeprefix("torch.")},
        "weights": list(references.weights or (1.0,) * references.count),
        "loss": [round(losses[i], 5) for i in (0, -1)] if losses else [],
        "family": "mapping" if references.mixing_latents is None else "encoder",
        "detail": tuner.mixing.references_feature_codes is not None,
        "mirrored": config.mirror and not config.extreme,
    }
    if any(references.moved):
        made["moved"] = [round(far, 4) for far in references.moved]
    if config.steps == "auto":
        made["steps"] = len(losses)
    if any(references.outside):
        made["invented"] = [round(share, 3) for share in references.outside]
    return made
