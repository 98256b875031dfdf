"""How learning rates change over a run: they rise after an optimizer began afresh, and fall towards the end."""

from __future__ import annotations

from mien.training.config import AdversarialConfig


def rate_factor(config: AdversarialConfig, fresh_steps: int, done: float | None) -> float:
    """What the learning rates are multiplied with.

    `fresh_steps` counts steps since the optimizers began without moments: their first ones are as long as they can be. `done`
    is the share of the run that is over, 0 to 1; None where it has no end.
    """
    rise = min(1.0, (fresh_steps + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if done is None or not config.decay_share or done <= 1 - config.decay_share:
        return rise
    return rise * max(config.decay_floor, (1 - done) / config.decay_share)


def share_done(images: int, kimg: float, minutes: float, max_minutes: float | None) -> float | None:
    """The share of a run that is over: by images or by time, whichever ends it sooner. None where neither ends it."""
    shares = [images / (kimg * 1000)] if kimg else []
    if max_minutes is not None:
        shares.append(minutes / max(max_minutes, 1e-9))
    return min(1.0, max(shares)) if shares else None
