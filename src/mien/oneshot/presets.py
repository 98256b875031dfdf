"""Set-ups of the method by name: values of the settings that were not given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

PresetName = Literal["paper", "published"]


@dataclass(frozen=True)
class Preset:
    """A published set-up, by the names of the settings."""

    summary: str
    one_shot: Mapping[str, Any]
    """How a style is learned: settings of `OneShotConfig`."""
    render: Mapping[str, Any]
    """How it is put on photos: settings of `RenderConfig`."""


_CODES_ALONE = {"mixing_latents": "mapping", "feature_code": 0.0, "mirror": False, "batch": 0}
_AS_IT_IS = {
    "steps": 300, "reference_shape": 1.0, "reference_views": 1, "distribution_weight": 0.0, "weight_average": 0.0,
}  # fmt: skip

PRESETS: dict[PresetName, Preset] = {
    # JoJoGAN, appendix A.1: ReStyle's code, blended with the mean face's at three S layers. Their numbers are lost; those that
    # are told of, 8 and 11, are the up-convolutions to 32 and 64 px, so the third is taken to be the one before. Faces are
    # codes alone, everybody's by the same inverter, and the random ones the mapping network's; all references are in one batch;
    # the mask is the usual one.
    "paper": Preset(
        "the set-up of the JoJoGAN paper",
        {"random_layers": "m1", "mean_layers": "16up,32up,64up", "reference_inverter": "iterated", **_CODES_ALONE, **_AS_IT_IS},
        {"inverter": "iterated", "fidelity": 0.0, "refine_steps": 0},
    ),
    # The authors' code: rows of W+ instead of layers of S, so that affine layers are learned too, and all noise strengths; the
    # code of e4e, here of the model's encoder. Its mapping network has gradients as well, but at a hundredth of the rate.
    "published": Preset(
        "the authors' published code",
        {"space": "w_plus", "random_rows": "m1", "learning_rate": 2e-3, "noise": "random", "noise_strengths": "all",
         **_CODES_ALONE, **_AS_IT_IS},
        {"inverter": "encoder", "fidelity": 0.0, "refine_steps": 0},
    ),
}  # fmt: skip

# Who gives one of these chooses the random codes otherwise.
_RIVALS = {"random_layers": ("random_from", "random_rows", "space", "color"), "space": ("random_from", "random_layers")}


def preset_values(name: PresetName | None, given: Callable[[str], bool] = lambda setting: False) -> dict[str, Any]:
    """The values of a preset (None: of none) for settings that are not `given`, nor another one that chooses the same."""
    values: dict[str, Any] = {**PRESETS[name].one_shot, **PRESETS[name].render} if name else {}
    return {option: value for option, value in values.items() if not any(map(given, (option, *_RIVALS.get(option, ()))))}
