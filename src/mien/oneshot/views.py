"""Views of a reference: its mirror image, and small shifts, turns and changes of size.

A reference that is always shown in the same place teaches that its strands of hair and shadows belong to that place, and every
face gets them there. Moved about a little, with the code that the encoder gives to each view, they are tied to the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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
