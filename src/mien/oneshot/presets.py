"""Set-ups by name: values that options have, where they are not given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # JoJoGAN, appendix A.1: ReStyle's code, blended with the mean face's at three S layers. Their numbers are lost; those that
    # are told of, 8 and 11, are the up-convolutions to 32 and 64 px, so the third is taken to be the one before. Faces are
    # codes alone, everybody's by the same inverter, and the random ones the mapping network's; all references are in one batch;
    # the mask is the usual one.
    "paper": {
        "random_layers": "m1",
        "mean_layers": "16up,32up,64up",
        "batch": 0,
        "mixing_latents": "mapping",
        "feature_code": 0.0,
        "mirror": False,
        "reference_inverter": "iterated",
        "inverter": "iterated",
        "likeness": 0.0,
        "refine": 0,
    },
}
"""{name: {option: value}}, by the names of the options' fields."""

# Who gives one of these chooses the random layers otherwise.
_RIVALS = {"random_layers": ("random_from", "random_rows", "space", "color")}


def preset_values(name: str | None, given: Callable[[str], bool] = lambda option: False) -> dict[str, Any]:
    """The values of a preset (None: of none) for the options that are not `given`, nor another one that chooses the same."""
    values = PRESETS[name] if name else {}
    return {option: value for option, value in values.items() if not any(map(given, (option, *_RIVALS.get(option, ()))))}
