"""How sharp a crop is, and which crops show the same.

Similarity is a perceptual hash (Zauner 2010): the signs, around their median, of the lowest 16 x 16 cosine frequencies of the
gray image. Copies of aligned faces that were saved again or made smaller differ in up to 16 of the 256 bits (most in fewer
than 6), brightened ones in up to 22; among 13 million pairs of faces, mostly studio portraits of one kind, none was below 22.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.media.image_data import Pixels

Hash = NDArray[np.uint8]
"""[32]: 256 bits."""

_SEEN_AT, _FREQUENCIES = 64, 16
_FLAT = 1.0  # standard deviation of gray values below which there is nothing to compare
_OCTAVES = 4
_BITS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint16)
_PLACE = np.arange(_SEEN_AT) + 0.5
_COSINES = np.cos(np.pi / _SEEN_AT * np.arange(_FREQUENCIES)[:, None] * _PLACE[None]).astype(np.float32)


def sharpness(pixels: Pixels) -> float:
    """How much of the middle of a crop [R, R, 3] uint8 is finest detail.

    About 0.3 where it is sharp, 0.1 where it was enlarged to twice its size, 0.05 where it is blurred. The contrast of the
    finest octave in units of the strongest of the three below, so it does not depend on light or contrast.
    """
    level = _gray(Image.fromarray(pixels))
    bands = []
    for _ in range(_OCTAVES):
        if min(level.shape) < 8:
            break
        height, width = (side // 2 * 2 for side in level.shape)
        level = level[:height, :width]
        half = level.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
        detail = level - np.asarray(Image.fromarray(half).resize((width, height), Image.Resampling.BICUBIC))
        # The middle alone: a blurred ground is no fault.
        bands.append(float(detail[height // 4 : -(height // 4), width // 4 : -(width // 4)].std()))
        level = half
    return bands[0] / max(bands[1:]) if len(bands) > 1 and max(bands) > 0.1 else 1.0


def perceptual_hash(pixels: Pixels) -> Hash | None:
    """The hash of a crop [H, W, 3] uint8; None where it is flat and could be told from no other."""
    gray = _gray(Image.fromarray(pixels).resize((_SEEN_AT, _SEEN_AT), Image.Resampling.BOX))
    if gray.std() < _FLAT:
        return None
    frequencies = (_COSINES @ gray @ _COSINES.T).ravel()
    frequencies[0] = 0  # the mean brightness
    found: Hash = np.packbits(frequencies > np.median(frequencies[1:]))
    return found


def _gray(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image.convert("L"), dtype=np.float32)


class Alike:
    """The hashes of images seen so far, to find one that shows the same."""

    def __init__(self, most_bits: int) -> None:
        """`most_bits` of 256 may differ; 0 finds nothing alike."""
        self.most_bits, self.count = most_bits, 0
        self._hashes: Hash = np.empty((256, 32), dtype=np.uint8)

    def find(self, *hashes: Hash | None) -> int | None:
        """The number, in the order of `add`, of the image that is most like one of `hashes`; None where none is alike."""
        best: tuple[int, int] | None = None
        for wanted in hashes:
            if wanted is None or not self.count or not self.most_bits:
                continue
            bits = _BITS[self._hashes[: self.count] ^ wanted].sum(axis=1)
            nearest = int(bits.argmin())
            if bits[nearest] <= self.most_bits and (best is None or bits[nearest] < best[0]):
                best = (int(bits[nearest]), nearest)
        return None if best is None else best[1]

    def add(self, new: Hash) -> None:
        """Remember a hash."""
        if self.count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[self.count] = new
        self.count += 1
