"""Pictures -> codes: feed-forward, by optimisation, or the mean code."""

from mien.inversion.encode import encode, mean_code
from mien.inversion.optimize import RefineConfig, refine
from mien.latents import Codes

__all__ = ["Codes", "RefineConfig", "encode", "mean_code", "refine"]
