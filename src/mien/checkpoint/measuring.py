"""Measuring networks from files that the user brings: none of them is part of this project."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mien.checkpoint.bundle import load_strictly
from mien.checkpoint.tflite import read_tflite
from mien.errors import CheckpointError
from mien.models.mobilefacenet import MobileFaceNet
from mien.models.mobilenet_v2 import MobileNetV2, convolutions


def read_mobilefacenet(path: Path) -> MobileFaceNet:
    """A MobileFaceNet from a safetensors file with the names of the published weights, in evaluation mode."""
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): give a MobileFaceNet of that format."
        ) from error
    network = MobileFaceNet()
    load_strictly(network, state, f"the MobileFaceNet in {path}")
    return network.eval().requires_grad_(False)


def read_mobilenet_v2(path: Path) -> MobileNetV2:
    """A MobileNetV2 (width 1, 224 px) from a .tflite file, quantised or not, as a float32 network in evaluation mode.

    Of the quantisation only the rounding of the weights remains; activations are neither rounded nor clipped to its ranges.
    """
    found = [op for op in read_tflite(path) if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    network = MobileNetV2()
    wanted = convolutions(network)
    # One more convolution, or a fully connected layer, is the classifier that measuring leaves out.
    if len(found) not in (len(wanted), len(wanted) + 1) or any(len(op.constants) != 2 for op in found):
        raise CheckpointError(
            f"{path} is no MobileNetV2: it has {len(found)} convolutions, {len(wanted)} or {len(wanted) + 1} are expected; "
            "give mobilenet_v2 at width 1.0 and 224 px."
        )
    state = {}
    for (name, _), op in zip(wanted, found, strict=False):
        weight, bias = op.constants
        # [out, h, w, in] -> [out, in, h, w]; depthwise [1, h, w, out] -> [out, 1, h, w].
        state[f"{name}.weight"] = weight.permute((0, 3, 1, 2) if op.kind == "CONV_2D" else (3, 0, 1, 2)).contiguous()
        state[f"{name}.bias"] = bias
    load_strictly(network, state, f"the MobileNetV2 in {path}")
    return network.eval().requires_grad_(False)


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file: says in a report which weights measured."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()[:16]
