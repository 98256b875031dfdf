"""Where a video goes on with another scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.streaming.quick_crop import Frame

_GRID = 16  # places along each side that are compared
_SEEN = 4  # pixels of each place along each side that are looked at
_BINS = 16  # of each channel
_MOVED, _OTHER_COLORS = 0.08, 0.25  # mean difference of places (of 1), share of pixels of other colors: both are a cut
_OTHER_IMAGE = 0.25  # mean difference of places that is a cut by itself


class SceneCuts:
    """Tells of each frame whether it begins a new scene: its places and its colors are others (Zhang et al. 1993)."""

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def __call__(self, frame: Frame) -> bool:
        """Whether the frame [H, W, 3] does not go on with the one before; False for the first."""
        found, last = _described(frame), self._last
        self._last = found
        if last is None:
            return False
        moved = float(np.abs(found[0] - last[0]).mean())
        other = float(np.abs(found[1] - last[1]).sum() / 2)
        return moved > _OTHER_IMAGE or (moved > _MOVED and other > _OTHER_COLORS)


def _described(frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean colors of the places [16, 16, 3], 0 to 1, and the shares [3, 16] of the pixels in each bin of the channels."""
    count = _GRID * _SEEN
    rows, columns = (np.arange(count) * size // count for size in frame.shape[:2])
    seen = frame[rows[:, None], columns[None]]
    places = seen.reshape(_GRID, _SEEN, _GRID, _SEEN, 3).mean(axis=(1, 3), dtype=np.float32) / 255
    bins = (seen.reshape(-1, 3) // (256 // _BINS)) + np.arange(3) * _BINS
    shares = np.bincount(bins.ravel(), minlength=3 * _BINS) / bins.size
    return places, shares.astype(np.float32)
