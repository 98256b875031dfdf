"""Pictures -> codes: feed-forward, by optimisation, or the mean code; and how much of a face a picture is to a model."""

from mien.inversion.config import METHODS, InvertConfig, Method, RefineConfig
from mien.inversion.encode import encode, mean_code
from mien.inversion.methods import invert, refinement
from mien.inversion.optimize import refine
from mien.inversion.out_of_distribution import FaceDistribution, Remoteness, calibrate, remoteness, warn_of_strangers
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
