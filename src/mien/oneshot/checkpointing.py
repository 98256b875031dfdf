"""A fit that can be stopped: everything that the loop needs to go on, in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint.native import digest
from mien.checkpoint.state import has_state, read_state, write_state
from mien.errors import CheckpointError, InputError
from mien.oneshot.config import current_names
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner

_TUNED, _ADAM, _RANDOM, _CODES, _FRESH, _FEATURE_CODE = "synthesis.", "adam.", "random", "w_plus", "fresh", "detail"
_AVERAGE = "average."
# What states of before 0.1.0 do not say, because nothing else could be chosen or a setting was not given.
_DEFAULTS = {
    "gaze": "reference", "noise_strengths": "nonzero", "reference_shape": 1.0, "reference_views": 1, "distribution_weight": 0.0,
    "distribution_regions": "head", "distribution_faces": 1, "distribution_every": 1, "weight_average": 0.0,
}  # fmt: skip
# The steps may grow; the rest says how references became the codes that are compared.
_FREE = ("steps", "extreme", "reference_inverter", "refine_reference")
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_fit(folder: Path, tuner: OneShotTuner, base: str) -> None:
    """Write the state of a tuner that has done a step into `folder`, in place of the one there.

    `base` is the digest of its generator.
    """
    tensors: dict[str, Tensor] = {f"{_TUNED}{name}": p for name, p in tuner.synthesis.named_parameters()}
    if tuner.average is not None:
        tensors |= {f"{_AVERAGE}{name}": p for name, p in tuner.average.network.named_parameters()}
    for index, parameter in enumerate(_trained(tuner)):
        tensors |= {f"{_ADAM}{index}.{name}": tuner.adam.state[parameter][name] for name in _MOMENTS}
    tensors |= {_RANDOM: tuner.random.get_state(), _CODES: tuner.references.w_plus}
    found = {_FRESH: tuner.references.mixing_latents, _FEATURE_CODE: tuner.mixing.references_feature_codes}
    tensors |= {name: value for name, value in found.items() if value is not None}
    write_state(folder, tensors, {"fit": _task(tuner, base), "losses": tuner.losses})


@dataclass(frozen=True)
class SavedFit:
    """What `save_fit` wrote."""

    folder: Path
    tensors: dict[str, Tensor]
    document: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> SavedFit | None:
        """The fit in `folder`, None where there is none. Raises `CheckpointError` for one that is damaged or something else."""
        if not has_state(folder):
            return None
        tensors, document = read_state(folder)
        if not isinstance(document.get("fit"), dict) or not isinstance(document.get("losses"), list) or _CODES not in tensors:
            raise CheckpointError(f"{folder} holds the state of something other than a fit: choose another folder.")
        return cls(folder, tensors, document)

    def references(self, found: References) -> References:
        """The references with the codes that the fit was begun with, if those found now are about the same.

        They may differ in the last bits, on another number of threads. Raises `InputError` where they differ in more.
        """
        if self.tensors[_CODES].shape != found.w_plus.shape:
            raise self._another("the number of the references differs, or mirror")
        w_plus = self._begun_with(_CODES, found.w_plus, "the codes of the references differ")
        latents, feature_codes = found.mixing_latents, found.feature_codes
        if latents is not None:
            latents = self._begun_with(_FRESH, latents, "the encoder differs, or the seed, or mixing_latents")
        # A fit that leaves them out has kept none: its settings say so, and are compared.
        if feature_codes is not None and _FEATURE_CODE in self.tensors:
            feature_codes = self._begun_with(_FEATURE_CODE, feature_codes, "the encoder differs")
        return replace(found, w_plus=w_plus, mixing_latents=latents, feature_codes=feature_codes)

    def _begun_with(self, name: str, found: Tensor, otherwise: str) -> Tensor:
        kept = self.tensors.get(name)
        if kept is None or kept.shape != found.shape or not torch.allclose(kept, found.cpu(), rtol=0.01, atol=0.01):
            raise self._another(otherwise)
        return kept.to(found)

    def resume(self, tuner: OneShotTuner, base: str) -> None:
        """Put a new tuner where the saved one was.

        Raises `InputError` when it has another model, other references or other settings (the number of steps may grow).
        """
        task, saved = _task(tuner, base), _DEFAULTS | current_names(self.document["fit"])
        different = [name for name in sorted(task.keys() | saved.keys()) if saved.get(name) != task.get(name)]
        if different:
            raise self._another(f"{', '.join(different)} differ")
        losses = [float(loss) for loss in self.document["losses"]]
        if isinstance(tuner.config.steps, int) and len(losses) > tuner.config.steps:
            raise InputError(f"{self.folder} is at step {len(losses)} already: set steps to that or more, or start again.")
        try:
            with torch.no_grad():
                for name, parameter in tuner.synthesis.named_parameters():
                    parameter.copy_(self.tensors[f"{_TUNED}{name}"])
                if tuner.average is not None:
                    for name, parameter in tuner.average.network.named_parameters():
                        parameter.copy_(self.tensors[f"{_AVERAGE}{name}"])
                    tuner.average.updates = len(losses)
                for index, trained in enumerate(_trained(tuner)):
                    tuner.adam.state[trained] = self._moments(index, trained)
            tuner.random.set_state(self.tensors[_RANDOM])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"The state in {self.folder} is damaged ({error}): delete it and start again.") from error
        tuner.losses = losses

    def _moments(self, index: int, parameter: Tensor) -> dict[str, Tensor]:
        found = {name: self.tensors[f"{_ADAM}{index}.{name}"] for name in _MOMENTS}
        return {n: v.to(parameter.device) if v.ndim == 0 else torch.zeros_like(parameter).copy_(v) for n, v in found.items()}

    def _another(self, why: str) -> InputError:
        return InputError(f"{self.folder} holds the state of another fit ({why}): choose another folder, or delete this one.")


def _trained(tuner: OneShotTuner) -> list[Tensor]:
    return list(tuner.adam.param_groups[0]["params"])


def _task(tuner: OneShotTuner, base: str) -> dict[str, Any]:
    """What must be the same for a state to be gone on with, as JSON."""
    references = tuner.references
    given = [tuner.images, tuner.weights, tuner.valid]
    if isinstance(tuner.mixing.layers, Mapping):
        given += tuner.mixing.layers.values()
    if references.styles is not None:
        given += references.styles.layers.values()
    content = hashlib.sha256(b"".join(part.cpu().numpy().tobytes() for part in given if part is not None)).hexdigest()
    settings = {name: value for name, value in asdict(tuner.config).items() if name not in _FREE and value is not None}
    settings["dtype"] = str(tuner.dtype).removeprefix("torch.")
    if tuner.identity is not None:
        settings["the identity network"] = digest(tuner.identity.state_dict())
    return {"the model": base, "the references": content[:16], **settings}
