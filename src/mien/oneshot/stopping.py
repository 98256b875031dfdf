"""When a style has been learned: `--steps auto`.

The paper takes 200 to 500 steps "by reference". Our rule within these bounds: stop when the last 100 steps brought less than a
tenth of what all steps have brought, both measured on the loss smoothed over 50 steps. It asks what is still gained, in units
of the reference's own beginning, so that neither the loss's scale nor the part of it that no step removes matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

SHORTEST, LONGEST = 200, 500
_WINDOW, _RECENT, _EVERY = 50, 100, 10
_START = 10  # the loss falls steeply from the first step: its beginning is smoothed less
_LEAST_SHARE = 0.1


def enough(losses: Sequence[float]) -> bool:
    """Whether to stop after the steps with these losses, the first to the last; asked after every step."""
    done = len(losses)
    if done < SHORTEST or done % _EVERY:
        return False
    now = fmean(losses[-_WINDOW:])
    before = fmean(losses[-_WINDOW - _RECENT : -_RECENT])
    gained = fmean(losses[:_START]) - now
    return done >= LONGEST or before - now < _LEAST_SHARE * gained
