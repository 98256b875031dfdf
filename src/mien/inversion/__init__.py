"""Images -> codes: feed-forward, by optimization, or the mean code; and how much of a face an image is to a model."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.inversion.config import METHODS as METHODS
    from mien.inversion.config import InvertConfig as InvertConfig
    from mien.inversion.config import Method as Method
    from mien.inversion.config import RefineConfig as RefineConfig
    from mien.inversion.encode import mean_code as mean_code
    from mien.inversion.methods import Inversion as Inversion
    from mien.inversion.methods import invert as invert
    from mien.inversion.methods import refinement as refinement
    from mien.inversion.optimize import refine as refine
    from mien.inversion.out_of_distribution import FaceDistribution as FaceDistribution
    from mien.inversion.out_of_distribution import OutOfDistributionScore as OutOfDistributionScore
    from mien.inversion.out_of_distribution import calibrate as calibrate
    from mien.inversion.out_of_distribution import out_of_distribution_scores as out_of_distribution_scores
    from mien.inversion.out_of_distribution import warn_out_of_distribution as warn_out_of_distribution
    from mien.latents import Codes as Codes

__all__ = ["Codes", "Inversion", "InvertConfig", "out_of_distribution_scores"]
__getattr__ = names_from(
    __name__,
    {
        "config": "METHODS InvertConfig Method RefineConfig",
        "encode": "mean_code",
        "methods": "Codes Inversion invert refinement",
        "optimize": "refine",
        "out_of_distribution": "FaceDistribution OutOfDistributionScore calibrate out_of_distribution_scores "
        "warn_out_of_distribution",
    },
)
