"""What is remembered of one face from frame to frame: smoothed codes, mask, light and head, and what it was painted with."""

from __future__ import annotations

from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

from mien.faces.align import CropFrame
from mien.streaming.painting import matching_shift, painted, shifted
from mien.streaming.quick_crop import fading_edges
from mien.streaming.smoothing import CodeSmoother, OneEuro

Paint: TypeAlias = tuple[Tensor, Tensor]
"""Paint and cover, see `quick_paste`."""
SLOW = 3
"""Drawings from one look to the next at what hardly changes: where the head is in its crop, and the light."""


class Memory:
    """One face."""

    def __init__(self, steadiness: float) -> None:
        self.codes = CodeSmoother(steadiness)
        self.paint: Paint | None = None
        """That of its newest drawing."""
        self.begun = False
        """Whether a drawing was begun: the paint is there or will be."""
        self._mask, self._shift, self._heads = (OneEuro((-1, -2), steadiness) for _ in range(3))
        self._head: Tensor | None = None
        self._light: Tensor | None = None

    def paint_anew(
        self, drawn: tuple[Tensor, Tensor], photo: tuple[Tensor, Tensor], square: CropFrame, size: tuple[int, int],
        hair: float, step: float, *, look: bool,
    ) -> None:  # fmt: skip
        """Make the paint from a drawn face and its mask, and from the photo's crop and where its own head is.

        `square` is the crop's in a frame of that width and height, `hair` how much of it stays the photo's, `step` the seconds
        since the last drawing, and `look` whether head and light are looked at again.
        """
        (face, mask), (crop, head) = drawn, photo
        mask = self._mask(mask, step)
        if look or self._light is None:
            self._light = self._shift(matching_shift(face, crop, mask), step * SLOW)
        face = shifted(face, self._light)
        mask = fading_edges(mask, square, *size)
        if not hair:
            self.paint = face * mask, mask
            return
        if look or self._head is None:
            whole = F.interpolate(head[None], size=crop.shape[-2:], mode="bilinear", align_corners=False)[0]
            self._head = self._heads(whole, step * SLOW)
        self.paint = painted(face, crop, mask, self._head, hair)
