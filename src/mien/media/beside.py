"""Before and after, side by side in one image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.media.image_data import ImageData


def beside(before: ImageData, after: ImageData) -> ImageData:
    """Two images of one size, depth and color profile side by side, with a white line between them.

    `before` may be gray where `after` has colors. Raises `ValueError` for others.
    """
    before = before.colored() if after.colors == 3 else before
    if before.pixels.shape != after.pixels.shape or before.pixels.dtype != after.pixels.dtype or before.icc != after.icc:
        raise ValueError(f"{before.pixels.shape} and {after.pixels.shape} do not go side by side")
    line = np.full((after.height, max(2, after.width // 100), after.pixels.shape[2]), after.peak, after.pixels.dtype)
    return replace(after, pixels=np.concatenate([before.pixels, line, after.pixels], axis=1))
