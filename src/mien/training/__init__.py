"""Training StyleGAN2: adversarial training in a run folder, from scratch or from a model."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.training.config import TrainSpeedConfig as TrainSpeedConfig
    from mien.training.session import Outcome as Outcome
    from mien.training.session import Session as Session
    from mien.training.speed import TrainSpeed as TrainSpeed
    from mien.training.speed import measure_training as measure_training
    from mien.training.speed import time_filters as time_filters

__all__ = ["Outcome", "Session", "TrainSpeed", "TrainSpeedConfig", "measure_training", "time_filters"]
__getattr__ = names_from(
    __name__,
    {
        "config": "TrainSpeedConfig",
        "session": "Outcome Session",
        "speed": "TrainSpeed measure_training time_filters",
    },
)
