"""Codes that are steady in time and yet follow a face: the one-euro filter (Casiez, Roussel & Vogel 2012) on tensors.

What changes slowly is smoothed much, for it is noise of the camera and of the encoder; what changes fast is followed at once.
Speed is that of a place as a whole (a row of W+, a place of the feature code): noise of single channels cancels out there, and
an opening mouth lets the mouth through, not the hair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mien.latents import Codes

_STILL = 0.5  # Hz: cutoff of what does not move, at full steadiness
_SPEED_CUTOFF = 1.5  # Hz: cutoff of the speed itself
_EAGERNESS = 6.0  # Hz of cutoff per unit of speed: changes of the code's own size in a second
_LEAST_STEP, _LARGEST_STEP = 1 / 240, 0.5  # seconds between frames that are believed


@dataclass
class OneEuro:
    """A filter for tensors [..., places]: `over` are the dimensions in which a place's numbers lie."""

    over: tuple[int, ...]
    steadiness: float
    eagerness: float = _EAGERNESS
    _value: Tensor | None = None
    _speed: Tensor | None = None

    def __call__(self, new: Tensor, seconds: float) -> Tensor:
        """The smoothed value, `seconds` after the last one; the first is taken as it is."""
        if self._value is None or self.steadiness == 0 or self._value.shape != new.shape:
            self._value, self._speed = new, torch.zeros_like(new)
            return new
        assert self._speed is not None
        seconds = min(max(seconds, _LEAST_STEP), _LARGEST_STEP)
        self._speed = torch.lerp(self._speed, (new - self._value) / seconds, _share(_SPEED_CUTOFF, seconds))
        size = new.square().mean(dim=self.over, keepdim=True).sqrt() + 1e-6
        speed = self._speed.square().mean(dim=self.over, keepdim=True).sqrt() / size
        cutoff = (_STILL + self.eagerness * speed) / self.steadiness
        turns = 2 * math.pi * seconds * cutoff
        self._value = torch.lerp(self._value, new, turns / (turns + 1))
        return self._value


class CodeSmoother:
    """Codes of one face, frame after frame, smoothed."""

    def __init__(self, steadiness: float) -> None:
        self._w_plus = OneEuro((-1,), steadiness)  # a speed per row
        self._feature_code = OneEuro((-3,), steadiness)  # a speed per place

    def __call__(self, codes: Codes, seconds: float) -> Codes:
        """The codes [1, ...] as they are to be drawn, `seconds` after the last ones."""
        feature_code = None if codes.feature_code is None else self._feature_code(codes.feature_code, seconds)
        return Codes(self._w_plus(codes.w_plus, seconds), feature_code)


def _share(cutoff: float, seconds: float) -> float:
    turns = 2 * math.pi * seconds * cutoff
    return turns / (turns + 1)
