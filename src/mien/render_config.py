"""How a style is applied to a photo: the only place with rendering defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mien.editing.config import EXAGGERATE, KEEP, Control, Strength
from mien.errors import InputError
from mien.faces.config import Surroundings, Upscale
from mien.inversion.config import InvertConfig, Method
from mien.mappers.config import Engine


@dataclass(frozen=True)
class RenderConfig:
    """How a face is drawn in a style. None of these settings needs the style to be learned again."""

    strength: Annotated[
        float | Strength,
        "how much style: 0 is the base model's rendering of the person, 1 the full style, 1.5 more than that; or by size: "
        "coarse (4-8 px), middle (16-32 px), fine (from 64 px)",
    ] = 1.0
    fidelity: Annotated[
        float | None,
        "weight of the feature code, 0 to 1: higher preserves identity, lower follows the style; in between it counts less in "
        "hair and clothes than in the face; None: 0.7, and 0 for a model that was fine-tuned on a data set",
    ] = None
    inverter: Annotated[Method | InvertConfig, "how a face is inverted: encoder, iterated, w, w+, prior or mean"] = "encoder"
    refine_steps: Annotated[int, "optimization steps towards the person; 0: the inverter's code alone"] = 14
    keep: Annotated[Mapping[str, float], KEEP] = field(default_factory=dict)
    exaggerate: Annotated[Mapping[str, float], EXAGGERATE] = field(default_factory=dict)
    crop: Annotated[bool, "only the square around the first face; it is not pasted into the photo"] = False
    upscale: Annotated[
        Upscale,
        "how faces are upscaled to the photo: auto, by a super-resolution network, up to the "
        "photo's resolution (at most 4 times); none, by plain resampling; a number: by that factor with the network",
    ] = "auto"
    hair: Annotated[
        float,
        "how much detail hair keeps from the photo, in the colors of the style: 0 hair as the model draws it, 1 only the "
        "photo's own strands",
    ] = 0.7
    photo_color: Annotated[
        float, "how far the colors of a drawn face go towards the photo's: 0 those of the style, 1 the photo's; lines stay"
    ] = 0.0
    surroundings: Annotated[
        Surroundings,
        "how far the rest of the photo takes the colors of the style, 0 to 1: 0 leaves everything around the faces as it is; "
        "auto: 1 where faces fill a fifth of the photo or more, less where they are smaller",
    ] = "auto"
    engine: Annotated[
        Engine | None,
        "inference engine: torch is the reference; onnxruntime and openvino use the encoder's codes without refinement; "
        "None: torch, and for an exported file the engine of its format",
    ] = None
    strip_metadata: Annotated[bool, "write no metadata; otherwise date, camera and author are kept"] = False

    def __post_init__(self) -> None:
        Strength.of(self.strength)
        Control(self.keep, self.exaggerate)
        self.inversion  # noqa: B018 (all three for their checks)
        if self.fidelity is not None and not 0 <= self.fidelity <= 1:
            raise InputError(f"The fidelity is a number from 0 to 1, got {self.fidelity:g}.")
        if self.refine_steps < 0:
            raise InputError(f"The number of refinement steps must not be negative, got {self.refine_steps}.")
        if not 0 <= self.hair <= 1:
            raise InputError(f"hair is a number from 0 to 1, got {self.hair:g}.")
        if not 0 <= self.photo_color <= 1:
            raise InputError(f"photo_color is a number from 0 to 1, got {self.photo_color:g}.")
        if self.surroundings != "auto" and not 0 <= self.surroundings <= 1:
            raise InputError(f"surroundings is auto or a number from 0 to 1, got {self.surroundings:g}.")
        number = isinstance(self.upscale, (int, float)) and not isinstance(self.upscale, bool)
        if self.upscale not in ("auto", "none") and not (number and 1 <= float(self.upscale) < math.inf):
            raise InputError(f"upscale is auto, none or a number from 1, got {self.upscale!r}.")

    @property
    def inversion(self) -> InvertConfig:
        """All settings of the inverter."""
        return self.inverter if isinstance(self.inverter, InvertConfig) else InvertConfig(self.inverter)

    @property
    def control(self) -> Control:
        """`keep` and `exaggerate` as one."""
        return Control(self.keep, self.exaggerate)
