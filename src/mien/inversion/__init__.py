"""Pictures -> codes: feed-forward, by optimisation, or the mean code; and how much of a face a picture is to a model."""

from mien.inversion.distribution import FaceDistribution, Remoteness, calibrate, remoteness, warn_of_strangers
from mien.inversion.encode import encode, mean_code
from mien.inversion.methods import METHODS, InvertConfig, Method, invert, refinement
from mien.inversion.optimize import RefineConfig, refine
from mien.inversion.own_faces import own_faces
from mien.latents import Codes

__all__ = [
    "METHODS",
    "Codes",
    "FaceDistribution",
    "InvertConfig",
    "Method",
    "RefineConfig",
    "Remoteness",
    "calibrate",
    "encode",
    "invert",
    "mean_code",
    "own_faces",
    "refine",
    "refinement",
    "remoteness",
    "warn_of_strangers",
]
