"""From aligned images to what a style is learned from: their codes, their mirror images, the random codes around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.faces.background import as_learned
from mien.inversion.config import InvertConfig
from mien.inversion.encode import encode, mean_code
from mien.inversion.methods import invert
from mien.inversion.out_of_distribution import warn_out_of_distribution
from mien.latents import Codes
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig
from mien.oneshot.other_faces import USUAL_WEIGHT, OwnFaces, own_faces
from mien.oneshot.references import References, merge_duplicates
from mien.oneshot.registration import register
from mien.oneshot.style_mixing import takes_own_faces

_STEPS_WITHOUT_ENCODER = 300


def encode_references(
    model: Model, images: Sequence[Tensor], config: OneShotConfig, *, names: Sequence[str],
    valid: Sequence[Tensor] | None = None, weights: Sequence[float] | None = None, dtype: torch.dtype = torch.float32,
) -> References:  # fmt: skip
    """The references of a fit, from aligned images [3, R, R] in [-1, 1] on the CPU, on the device of the model.

    `names` is what warnings call them; `valid` are the parts of the images [1, R, R] that are to be learned (None: all);
    `weights` weigh them, and one given twice counts twice. The model's own faces are drawn in `dtype`. Warns of images that the
    model hardly knows as faces.
    """
    kept, merged = merge_duplicates(images, weights)
    views = torch.stack([images[i] for i in kept])
    inside = None if valid is None else torch.stack([valid[i] for i in kept])
    # The mean face, which stands for all extreme references, can look one way only.
    sides = 2 if config.mirror and not config.extreme else 1
    if sides == 2:
        views = torch.cat([views, views.flip(3)])
        inside = None if inside is None else torch.cat([inside, inside.flip(3)])
    ways = motions(config.reference_views - 1) if _is_said_by_encoder(config, model) else []
    codes = reference_codes(model, moved_along(views, ways), config, [names[i] for i in kept])
    moved: tuple[float, ...] = ()
    if config.reference_shape < 1 and not config.extreme:
        found = register(views, inside, model.generator, _first(codes, len(views)), shape=config.reference_shape)
        views, inside, moved = found.images, found.valid, found.moved[: len(kept)]
    faces = _other_faces(model, config, dtype)
    return References(
        moved_along(views, ways), codes.w_plus, merged, None if inside is None else moved_along(inside, ways),
        # A feature code has the shapes of the reference, which blended codes are to forget.
        feature_codes=None if config.mean_layers else codes.feature_code,
        views=sides * (1 + len(ways)),
        mixing_latents=faces.w_plus if faces is not None and takes_own_faces(config, model) else None,
        other_faces=faces if distribution_weight(config, model) else None,
        moved=moved,
    )  # fmt: skip


def distribution_weight(config: OneShotConfig, model: Model) -> float:
    """The weight of the distribution loss: what was asked for, or what suits the random codes."""
    if config.distribution_weight != "auto":
        return config.distribution_weight
    return USUAL_WEIGHT if takes_own_faces(config, model) and not config.extreme else 0.0


def _other_faces(model: Model, config: OneShotConfig, dtype: torch.dtype) -> OwnFaces | None:
    encoded = takes_own_faces(config, model)
    if not encoded and not distribution_weight(config, model):
        return None
    return own_faces(model, config.seed, encoded=encoded, dtype=dtype)


def _is_said_by_encoder(config: OneShotConfig, model: Model) -> bool:
    """Whether the references' codes are what the encoder says and nothing else: each view then has a code of its own."""
    plain = config.reference_inverter in ("encoder", InvertConfig())
    return plain and model.encoder is not None and not config.extreme and not config.refine_reference


def reference_codes(model: Model, images: Tensor, config: OneShotConfig, names: Sequence[str]) -> Codes:
    """The codes of aligned references, with feature codes where the encoder alone makes them.

    `images` [N, 3, R, R] may hold views behind the references that `names` names. Warns of those that the model hardly knows.
    """
    if config.extreme:
        return Codes(mean_code(model, len(images)))
    inverter = config.reference_inverter
    inverter = replace(inverter if isinstance(inverter, InvertConfig) else InvertConfig(inverter), feature_code=False)
    steps = config.refine_reference
    if steps is None:
        steps = _STEPS_WITHOUT_ENCODER if model.encoder is None and inverter.method == "encoder" else 0
    images = as_learned(model, images.to(model.generator.mapping.w_avg.device))
    if model.encoder is None:
        return Codes(invert(model, images, inverter, refine_steps=steps).w_plus)
    encoded = encode(model, images)
    warn_out_of_distribution(model, images[: len(names)], encoded.w_plus[: len(names)], names)
    if steps == 0 and inverter == InvertConfig(feature_code=False):
        return encoded
    return Codes(invert(model, images, inverter, refine_steps=steps, encoded=encoded).w_plus)


def _first(codes: Codes, count: int) -> Codes:
    return Codes(codes.w_plus[:count], None if codes.feature_code is None else codes.feature_code[:count])


_SHIFT, _TURN, _SCALE = 0.03, 6.0, 0.05  # most: of the side; in degrees; of the size
_SEED = 3


@dataclass(frozen=True)
class Motion:
    """A small motion of an image about its middle."""

    right: float
    """In units of the side."""
    down: float
    turn: float
    """Degrees clockwise."""
    scale: float

    def __call__(self, images: Tensor) -> Tensor:
        """Images [N, C, S, S], moved; what comes in from outside is their mirror image."""
        cos, sin = (f(math.radians(self.turn)) / self.scale for f in (math.cos, math.sin))
        back = torch.tensor([
            [cos, sin, -2 * (cos * self.right + sin * self.down)],
            [-sin, cos, -2 * (cos * self.down - sin * self.right)],
        ])  # fmt: skip
        grid = F.affine_grid(back.expand(len(images), -1, -1), list(images.shape), align_corners=False).to(images.device)
        moved = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
        return moved.clamp(images.min(), images.max())


def motions(count: int) -> list[Motion]:
    """`count` small motions at random, the same ones every time."""
    random = torch.Generator().manual_seed(_SEED)
    amounts = (torch.rand(count, 4, generator=random) * 2 - 1).tolist()
    return [Motion(_SHIFT * a, _SHIFT * b, _TURN * c, 1 + _SCALE * d) for a, b, c, d in amounts]


def moved_along(images: Tensor, ways: list[Motion]) -> Tensor:
    """Images [N, C, S, S], and behind them all of them again for each of the motions: [N * (1 + len(ways)), C, S, S]."""
    return torch.cat([images, *(move(images) for move in ways)])
