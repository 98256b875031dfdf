"""The inversions, by name: how an aligned image becomes a code.

`encoder` is one look (or as many as the encoder learned to take: ReStyle). `iterated` looks at its own renderings too. `w`,
`w+` and `prior` optimize the code, from the encoder's code, or from the mean code where a model has no encoder: one code for
all rows; any code; a code held where the model's own codes are dense (as in II2S). `mean` is the average face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from mien.faces import CropFrame
from mien.inversion.config import InvertConfig, RefineConfig
from mien.inversion.encode import encode, mean_code
from mien.inversion.optimize import Progress, refine
from mien.latents import Codes
from mien.media.image_input import pil_from_tensor
from mien.models.model import Model

_ROUNDS = 5
_DAMPING = 0.5
# A feature code expresses what is missing as well as another W+ code would, and styles are learned for the encoder's codes: so
# beside a feature code W+ stays. A few such steps bring as much identity as twice as many that move both, in a fraction of the
# time. Larger ones, or any in the eyes themselves, leave rings around eyes.
_FEATURE_CODE = RefineConfig(space="f", feature_code_learning_rate=0.04, features=0.0, identity=0.3, hold_eyes=1.0)
_OPTIMIZED = {
    "w": RefineConfig(steps=200, space="w", feature_code_resolution=0, prior=0.0),
    "w+": RefineConfig(steps=200, feature_code_resolution=0, prior=0.0),
    "prior": RefineConfig(steps=200, feature_code_resolution=0, prior=0.0, density=0.01),
}


@dataclass(frozen=True)
class Inversion:
    """What the model makes of an image."""

    w_plus: Tensor
    """The code, [1, num_ws, w_dim]."""
    feature_code: Tensor | None
    """The feature code, [1, C, r, r]: see `Codes`."""
    crop: Tensor
    """The aligned image, [3, R, R]."""
    rendering: Tensor
    """The code rendered by the base model, [3, R, R]."""
    frame: CropFrame

    @property
    def image(self) -> Image.Image:
        """The code rendered by the base model, as a PIL image."""
        return pil_from_tensor(self.rendering)


def invert(
    model: Model, images: Tensor, config: InvertConfig | None = None, *, refine_steps: int = 0,
    encoded: Codes | None = None, progress: Progress | None = None, dtype: torch.dtype = torch.float32,
) -> Codes:  # fmt: skip
    """The codes of aligned images [N, 3, S, S] in [-1, 1], refined by `refine_steps` of optimization; deterministic.

    `encoded` is the encoder's output, if it is known already; None: it is computed where a method needs it. Refinement starts
    at the mean code where a model has no encoder; its convolutions run in `dtype`. Raises `ModelMismatchError` where a method
    needs one.
    """
    config = config or InvertConfig()
    if config.method == "encoder" and model.encoder is None and refine_steps:
        config = replace(config, method="mean")
    start = _answer(model, images, config, encoded, progress)
    numbers = refinement(start, refine_steps)
    numbers = numbers if config.feature_code else replace(numbers, feature_code_resolution=0)
    return refine(model, images, start, numbers, progress, dtype=dtype)


def refinement(start: Codes, steps: int) -> RefineConfig:
    """The numbers of a refinement from `start`: where there is a feature code, it alone moves."""
    return replace(RefineConfig() if start.feature_code is None else _FEATURE_CODE, steps=steps)


def _answer(model: Model, images: Tensor, config: InvertConfig, encoded: Codes | None, progress: Progress | None) -> Codes:
    mean = mean_code(model, len(images))
    if config.method == "mean":
        return Codes(mean)
    if config.method in _OPTIMIZED:
        numbers = _OPTIMIZED[config.method]
        start = Codes(mean if model.encoder is None else (encoded or encode(model, images)).w_plus)
        numbers = numbers if config.steps is None else replace(numbers, steps=config.steps)
        if config.method == "w":  # also where no step follows
            start = Codes(start.w_plus.mean(dim=1, keepdim=True).expand_as(mean).contiguous())
        found = refine(model, images, start, numbers, progress)
    else:
        found = encoded or encode(model, images)
        found = found if config.feature_code else Codes(found.w_plus)
        if config.method == "iterated":
            found = _iterate(model, found, _ROUNDS if config.steps is None else config.steps, progress)
    return Codes(torch.lerp(found.w_plus, mean, config.towards_mean), found.feature_code).scaled(1 - config.towards_mean)


@torch.no_grad()
def _iterate(model: Model, encoded: Codes, rounds: int, progress: Progress | None) -> Codes:
    """Codes whose rendering the encoder takes for the image: each round adds half of what it still says otherwise.

    ReStyle (Alaluf et al. 2021) shows an encoder image and rendering side by side, which it has to learn. Any other can be
    asked about both in turn: c <- c + (E(image) - E(G(c))) / 2.
    """
    noise = model.generator.synthesis.noise("const")
    w_plus, feature_code = encoded.w_plus, encoded.feature_code
    for done in range(rounds):
        rendering = torch.cat(
            [model.generator(one.w_plus, noise, feature_code=one.feature_code) for one in Codes(w_plus, feature_code).single()]
        )
        again = encode(model, rendering.clamp(-1, 1))
        gap = encoded.w_plus - again.w_plus
        w_plus = w_plus + _DAMPING * gap
        if feature_code is not None and encoded.feature_code is not None and again.feature_code is not None:
            feature_code = feature_code + _DAMPING * (encoded.feature_code - again.feature_code)
        if progress is not None:
            progress(done + 1, rounds, float(gap.abs().mean()))
    return Codes(w_plus, feature_code)
