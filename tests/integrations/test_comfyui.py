"""The nodes against ComfyUI's contract, without ComfyUI: what it reads from the classes, and what the functions give back."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mien

_REPOSITORY = Path(__file__).parent.parent.parent
_KINDS = {"IMAGE", "MASK", "INT", "FLOAT", "STRING", "BOOLEAN", "MIEN_STYLE"}


@pytest.fixture(scope="module")
def nodes() -> Any:
    """The folder as ComfyUI imports it: as a package of any name."""
    sys.path.insert(0, str(_REPOSITORY / "integrations"))
    try:
        yield importlib.import_module("comfyui")
    finally:
        sys.path.remove(str(_REPOSITORY / "integrations"))


@pytest.fixture(scope="module")
def portrait() -> torch.Tensor:
    image = np.asarray(Image.open(_REPOSITORY / "examples" / "portrait.png").convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(image)[None]


def test_every_node_says_what_comfyui_asks(nodes: Any) -> None:
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    assert len(set(nodes.NODE_DISPLAY_NAME_MAPPINGS.values())) == 4
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional", "hidden"}, name
        taken = {**inputs["required"], **inputs.get("optional", {})}
        for label, (kind, *options) in taken.items():
            assert isinstance(kind, list) or kind in _KINDS, f"{name}.{label}"
            if kind in ("INT", "FLOAT"):
                assert options[0]["min"] <= options[0]["default"] <= options[0]["max"], f"{name}.{label}"
        function = getattr(node(), node.FUNCTION)
        signature = inspect.signature(function)
        assert list(signature.parameters) == list(taken), name
        needed = [p.name for p in signature.parameters.values() if p.default is p.empty]
        assert needed == list(inputs["required"]), "optional inputs may be missing"
        assert isinstance(node.RETURN_TYPES, tuple)
        assert set(node.RETURN_TYPES) <= _KINDS
        assert len(getattr(node, "RETURN_NAMES", ())) in (0, len(node.RETURN_TYPES))
        assert node.CATEGORY == "mien"
        assert node.RETURN_TYPES or node.OUTPUT_NODE


def test_defaults_are_those_of_the_library(nodes: Any) -> None:
    shown = nodes.NODE_CLASS_MAPPINGS["MienStylizeFaces"].INPUT_TYPES()
    for name in ("hair", "refine_steps"):
        assert shown["optional"][name][1]["default"] == getattr(mien.RenderConfig(), name)
    learn = nodes.NODE_CLASS_MAPPINGS["MienLearnStyle"].INPUT_TYPES()["required"]
    assert learn["steps"][1]["default"] == mien.OneShotConfig().steps
    assert learn["color"][0][0] == mien.OneShotConfig().color
    assert learn["gaze"][0][0] == mien.OneShotConfig().gaze
    assert set(nodes.NODE_CLASS_MAPPINGS["MienLoadStyle"].INPUT_TYPES()["required"]["style"][0]) == set(mien.list_styles())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:A face of .* was drawn at")
def test_faces_are_drawn_and_the_mask_says_where(nodes: Any, portrait: torch.Tensor) -> None:
    (style,) = nodes.NODE_CLASS_MAPPINGS["MienLoadStyle"]().load("ink")
    stylize = nodes.NODE_CLASS_MAPPINGS["MienStylizeFaces"]().stylize
    batch = torch.cat([portrait, torch.full_like(portrait, 0.4)])
    image, mask = stylize(batch, style, 1.0, 0.7, hair=0.0, surroundings=0.0, refine_steps=0, upscale="none")
    assert image.shape == batch.shape
    assert image.dtype == torch.float32
    assert mask.shape == batch.shape[:3]
    assert 0 <= float(mask.min()) < 0.01
    assert 0.99 < float(mask.max()) <= 1
    assert torch.equal(image[1], batch[1]), "an image without a face passes unchanged"
    assert not mask[1].any()
    change = (image[0] - portrait[0]).abs().mean(dim=-1)
    assert change[mask[0] > 0.99].mean() > 0.05
    assert change[mask[0] > 0.99].mean() > 5 * change[mask[0] == 0].mean()
    weak, _ = stylize(portrait, style, 0.0, 0.7, hair=0.0, refine_steps=0, upscale="none")
    assert (weak[0] - portrait[0]).abs().mean() < change.mean()
    with pytest.raises(mien.MienError, match="No face was found"):
        stylize(batch[1:], style, 1.0, 0.7, without_face="error")


@pytest.mark.slow
def test_a_style_is_learned_saved_and_loaded(nodes: Any, portrait: torch.Tensor, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    class ProgressBar:
        def __init__(self, total: int) -> None:
            told.append((0, total))

        def update_absolute(self, done: int, total: int) -> None:
            told.append((done, total))

    comfy = {name: types.ModuleType(name) for name in ("comfy", "comfy.utils", "comfy.model_management")}
    comfy["comfy.utils"].ProgressBar = ProgressBar  # type: ignore[attr-defined]
    comfy["comfy.model_management"].throw_exception_if_processing_interrupted = lambda: None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for name, module in comfy.items():
            patch.setitem(sys.modules, name, module)
        (style,) = nodes.NODE_CLASS_MAPPINGS["MienLearnStyle"]().learn(portrait, 1, 0, "reference", "reference", False, "mine")
    assert told[-1] == (1, 1), "ComfyUI's bar was moved"
    file = str(tmp_path / "mine.safetensors")
    shown = nodes.NODE_CLASS_MAPPINGS["MienSaveStyle"]().save(style, file, False)
    assert shown == {"ui": {"text": [file]}}
    with pytest.raises(mien.MienError, match="exists already"):
        nodes.NODE_CLASS_MAPPINGS["MienSaveStyle"]().save(style, file, False)
    load = nodes.NODE_CLASS_MAPPINGS["MienLoadStyle"]
    (again,) = load().load("ink", file)
    assert again.name == "mine"
    before = load.IS_CHANGED("ink", file)
    (tmp_path / "mine.safetensors").touch()
    assert load.IS_CHANGED("ink", file) != before
    assert load.IS_CHANGED("ink") == load.IS_CHANGED("ink")
