"""How the settings of the library appear on the command line: headings, what `--help` shows, and the few names of their own."""

from __future__ import annotations

from dataclasses import replace

from mien.batch.config import BatchConfig, FilesConfig
from mien.cli.flags import Shown
from mien.cli.help import GENERAL
from mien.cli.machine import Machine, Screen, TrainMachine
from mien.cli.options import Extractors, InvertingModel, LossNetworks, ModelChoice
from mien.dataset.config import CropConfig, SelectionConfig
from mien.editing.config import Control, Strength, parse_strength
from mien.errors import InputError
from mien.evaluation.config import (
    BenchConfig,
    BlindConfig,
    EvaluateConfig,
    ReportConfig,
    ReportInputs,
    SampleConfig,
    SweepConfig,
)
from mien.faces.config import AlignConfig
from mien.inversion.config import InvertConfig
from mien.oneshot.config import OneShotConfig, SnapshotConfig
from mien.render_config import RenderConfig
from mien.training.config import (
    AdversarialConfig,
    NetworkConfig,
    PlanConfig,
    ReconstructionConfig,
    SessionConfig,
    TrainConfig,
    TrainSpeedConfig,
)
from mien.video.config import VideoConfig
from mien.web.config import PASSWORD_VARIABLE, ServeConfig


def pixels(text: str) -> tuple[int, ...]:
    """Block sizes with or without their unit: `16px,32px`."""
    words = [word.strip().removesuffix("px").strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise InputError(f"Block sizes are written as 32px, or several: 16px,32px; got '{text}'.")
    return tuple(map(int, words))


def _landmarks(text: str) -> tuple[tuple[float, ...], ...]:
    from mien.faces.align import parse_landmarks

    return tuple(tuple(point) for point in parse_landmarks(text).tolist())


_DEVICE = {"device": "auto|cpu|cuda|mps"}
_REFINE = {"refine_steps": ("--refine",)}
_ALIGN = Shown(
    "Where the faces are",
    ("face", "aligned"),
    parsers={"landmarks": _landmarks},
    metavars={"face": "auto|largest|all|N", "box": "X,Y,SIDE", "landmarks": "'X,Y X,Y ...'"},
    sentences={"landmarks": "eyes, nose, mouth corners in pixels, image left first; or a file of 5 or 68 points"},
)
OF_THE_REFERENCE = replace(_ALIGN, panel="Where the reference's face is", common=(), prefix="style-")
"""The same for the images behind `--style`."""

_RENDER = Shown(
    "Rendering",
    ("strength", "fidelity", "refine_steps", "keep", "exaggerate", "crop", "upscale", "surroundings"),
    names=_REFINE,
    metavars={"strength": "X|SIZE=X,..."},
    classes={Strength: parse_strength},
)
DRAWING = replace(_RENDER, without=("keep", "exaggerate"))
"""Rendering where the parts of the face belong to the learning."""
EVALUATING = replace(
    _RENDER,
    common=("strength", "fidelity"),
    without=("keep", "exaggerate", "crop", "upscale", "surroundings", "strip_metadata"),
)
OF_A_VIDEO = replace(
    _RENDER, common=("strength", "fidelity"), only=("strength", "fidelity", "hair", "engine"), metavars={"strength": "X"}
)
ONLY_STRENGTH = replace(_RENDER, only=("strength",))

_FILES = Shown("Options", ("overwrite", "skip_existing"))
BESIDE_LEARNING = replace(_FILES, common=("overwrite",))
"""Files where the help is full of how a style is learned."""

SHOWN: dict[type, Shown] = {
    FilesConfig: _FILES,
    BatchConfig: Shown("Options", ("overwrite", "skip_existing", "recursive"), metavars={"shard": "I/N", "ray": "ADDRESS"}),
    ModelChoice: Shown("Model"),
    InvertingModel: Shown("Model"),
    LossNetworks: Shown("Learning the style", ()),
    Extractors: Shown("Feature extractors"),
    AlignConfig: _ALIGN,
    RenderConfig: _RENDER,
    InvertConfig: Shown("Inversion", ("method", "steps"), changes="", checked=False),
    OneShotConfig: Shown("Learning the style", ("steps", "color", "gaze", "seed", "extreme")),
    SnapshotConfig: Shown("While it learns", ()),
    Control: Shown("Parts of the face", metavars={"keep": "PART=X,...", "exaggerate": "PART=X,..."}),
    EvaluateConfig: Shown("Images", names={"references_aligned": ("--reference-aligned",), "style_set": ("--set",)}),
    Screen: Shown(GENERAL, ("json", "quiet")),
    Machine: Shown(GENERAL, ("device",), metavars=_DEVICE),
    TrainMachine: Shown(GENERAL, ("device", "dtype"), metavars=_DEVICE),
    VideoConfig: Shown("Video", ("face", "steadiness", "draw_every", "codec", "quality"), metavars={"face": "all|largest|N"}),
    CropConfig: Shown("Crops", ("resolution", "align", "face", "blurred_background")),
    SelectionConfig: Shown("What is kept"),
    BenchConfig: Shown("Measurement", ("resolution", "rounds"), changes=""),
    TrainSpeedConfig: Shown("Training loop", without=("resolution", "bf16"), changes=""),
    BlindConfig: Shown("Study"),
    ServeConfig: Shown(
        "Server",
        ("host", "port"),
        sentences={
            "password": f"password that visitors are asked for; visible in process listings, so prefer {PASSWORD_VARIABLE}"
        },
    ),
    ReportInputs: Shown(
        "Inputs", ("data", "held_out", "features", "identity", "refine_steps"), names={"refine_steps": ("--refine",)}
    ),
    ReportConfig: Shown("Measurement", ("samples", "seed"), names={"held_out": ("--held-out-count",)}, changes=""),
    SweepConfig: Shown("Comparison", parsers={"cuts": pixels}),
    SampleConfig: Shown("Faces", names={"count": ("--count", "-n")}),
    SessionConfig: Shown("This call", ("max_minutes",)),
    TrainConfig: Shown(
        "Run",
        ("source", "stages", "size", "folder_weights", "mirror", "blurred_background", "seed", "kimg", "snapshot_minutes"),
        names={"source": ("--from",), "stages": ("--resolution", "--grow"), "folder_weights": ("--weights",)},
        without=("data",),
        parsers={"augment": lambda text: "" if text == "none" else text},
        sentences={
            "stages": "resolution; several, such as 32,64,128: trained one after the other, each grown from the one before"
        },
        changes="",
    ),
    AdversarialConfig: Shown(
        "Adversarial loop", ("batch", "learning_rate", "r1_gamma"), without=("bf16",), changes="adversarial"
    ),
    NetworkConfig: Shown("Networks", (), changes="network"),
    ReconstructionConfig: Shown("Encoder", ("share",), prefix="encoder-", changes="reconstruction"),
    PlanConfig: Shown("Fine-tuning", (), changes="plan"),
}
