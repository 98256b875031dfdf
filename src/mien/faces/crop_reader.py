"""Reading crops from images of any size, without a full-size copy of a large one."""

from __future__ import annotations

import math

from torch import Tensor

from mien.faces.align import CropFrame, extract
from mien.media.image_data import ImageData

AT_ONCE = 24_000_000
"""Pixels that are worked on as float32; of a larger image there is a smaller copy."""

_ENOUGH = 2  # pixels of the smaller copy per pixel of the crop with which the crop is read from it


class CropReader:
    """An image in which faces are searched for and whose crops are read."""

    def __init__(self, image: ImageData) -> None:
        self.image = image
        self.factor = math.ceil(math.sqrt(image.width * image.height / AT_ONCE))
        self.small = image.rgb() if self.factor == 1 else image.rgb_reduced(self.factor)
        """The image [3, H, W] in [-1, 1], a whole factor smaller where it is large."""

    def enlarged(self, frame: CropFrame) -> CropFrame:
        """A crop of `small` in coordinates of the image."""
        return _times(frame, self.factor)

    def read(self, frame: CropFrame, size: int) -> tuple[Tensor, Tensor]:
        """As `extract` from the image's own pixels: the crop [3, size, size], and how much of it lies inside the image."""
        if self.factor == 1:
            return extract(self.small, frame, size)
        if frame.side / self.factor >= _ENOUGH * size:
            return extract(self.small, _times(frame, 1 / self.factor), size)
        corners = frame.corners()
        low, high = corners.amin(dim=0).tolist(), corners.amax(dim=0).tolist()
        # As far as the crop reaches beyond the image, its mirror image is seen: that much more is needed inside.
        beyond = max(0.0, -min(low), high[0] - self.image.width, high[1] - self.image.height)
        margin = beyond + 32 + 8 * frame.side / size
        left, top = (max(0, math.floor(v - margin)) for v in low)
        right, bottom = (math.ceil(v + margin) for v in high)
        moved = CropFrame((frame.center[0] - left, frame.center[1] - top), frame.side, frame.angle)
        return extract(self.image.part(left, top, right, bottom).rgb(), moved, size)


def _times(frame: CropFrame, factor: float) -> CropFrame:
    """The same crop in coordinates that are `factor` times as large."""
    return CropFrame((frame.center[0] * factor, frame.center[1] * factor), frame.side * factor, frame.angle)
