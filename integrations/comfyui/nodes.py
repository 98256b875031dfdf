"""Nodes: load a style, learn one from an image, save it, and draw the faces of images in it.

ComfyUI's IMAGE is a float tensor [B, H, W, C] in [0, 1], its MASK [B, H, W]. Styles travel between nodes as MIEN_STYLE. Where
mien can be told more than a node shows, the Python API does it (docs/reference/api.md).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mien
from mien.editing.config import FEATURES
from mien.errors import FaceNotFoundError
from mien.faces.head_mask import covering_mask, head_masks
from mien.faces.paste import paste_back
from mien.latents import USUAL_FIDELITY
from mien.media.image_data import ImageData

CATEGORY, STYLE = "mien", "MIEN_STYLE"
_DEEP = 65535  # images keep 16 bits on their way
_NO_FILE = ""


@lru_cache(maxsize=1)
def _stylizer() -> mien.Stylizer:
    """The face model, loaded when it is first needed."""
    return mien.Stylizer.load()


def _progress() -> Any:
    """mien's progress as ComfyUI's bar, which also ends the work when ComfyUI is told to stop."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:  # outside of ComfyUI
        return None
    bar: list[Any] = []

    def advance(done: int, total: int, loss: float) -> None:
        throw_exception_if_processing_interrupted()
        if not bar:
            bar.append(ProgressBar(total))
        bar[0].update_absolute(done, total)

    return advance


def _data(image: Tensor) -> ImageData:
    """One image [H, W, C] in [0, 1] as an image of 16 bits."""
    return ImageData(np.rint(image.detach().float().cpu().clamp(0, 1).numpy() * _DEEP).astype(np.uint16))


def _image(image: ImageData) -> Tensor:
    return torch.from_numpy(image.pixels.astype(np.float32) / np.iinfo(image.pixels.dtype).max)


def _mask(result: mien.Result) -> Tensor:
    """Where faces were drawn, [H, W]: a white face in each one's place, through its own mask."""
    pasted = ImageData(np.zeros((result.image_data.height, result.image_data.width, 1), np.uint8))
    for face in result.faces:
        mask = covering_mask(*head_masks(face.crop, face.stylized))
        pasted = paste_back(pasted, face.frame, torch.ones_like(face.crop), mask, match_colors=False, faithful=False)
    return _image(pasted)[..., 0]


class LoadStyle:
    """A ready style by its name, or a style file."""

    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = CATEGORY, "load", (STYLE,), ("style",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple]]:  # noqa: N802 (ComfyUI's name)
        """The inputs, as ComfyUI asks for them."""
        file = {"default": _NO_FILE, "tooltip": "A style file of mien; leave it empty for the ready style above."}
        return {"required": {"style": (mien.list_styles(),)}, "optional": {"file": ("STRING", file)}}

    @classmethod
    def IS_CHANGED(cls, style: str, file: str = _NO_FILE) -> str:  # noqa: N802
        """What tells ComfyUI that a file was written anew."""
        path = Path(file).expanduser()
        return f"{style} {file} {path.stat().st_mtime_ns if file and path.is_file() else ''}"

    def load(self, style: str, file: str = _NO_FILE) -> tuple[mien.Style]:
        """The style."""
        chosen = Path(file).expanduser() if file.strip() else style
        return (mien.Style.load(chosen, _stylizer().model),)


class LearnStyle:
    """Learn a style from an image, or from several of one style (a batch): a minute or two."""

    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = CATEGORY, "learn", (STYLE,), ("style",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple]]:  # noqa: N802
        """The inputs, as ComfyUI asks for them."""
        usual = mien.OneShotConfig()
        return {
            "required": {
                "reference": ("IMAGE",),
                "steps": ("INT", {"default": usual.steps, "min": 1, "max": 2000}),
                "seed": ("INT", {"default": usual.seed, "min": 0, "max": 2**63 - 1}),
                "color": (["reference", "photo"], {"tooltip": "Whose colors the result has."}),
                "gaze": (["reference", "photo"], {"tooltip": "Whose gaze and mouth the result has."}),
                "extreme": ("BOOLEAN", {"default": usual.extreme, "tooltip": "For animals and masks, without a human face."}),
            },
            "optional": {"name": ("STRING", {"default": "comfy"})},
        }

    def learn(
        self, reference: Tensor, steps: int, seed: int, color: str, gaze: str, extreme: bool, name: str = "comfy"
    ) -> tuple[mien.Style]:
        """The style."""
        config = mien.OneShotConfig(steps=steps, seed=seed, color=color, gaze=gaze, extreme=extreme)  # type: ignore[arg-type]
        images = [_data(image) for image in reference]
        return (_stylizer().fit(images, config, name=name or "comfy", progress=_progress()),)


class SaveStyle:
    """Write a style to a file, for `mien apply`, the page or a later workflow."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = CATEGORY, "save", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple]]:  # noqa: N802
        """The inputs, as ComfyUI asks for them."""
        return {
            "required": {
                "style": (STYLE,),
                "file": ("STRING", {"default": "style.safetensors"}),
                "overwrite": ("BOOLEAN", {"default": False}),
            }
        }

    def save(self, style: mien.Style, file: str, overwrite: bool) -> dict[str, Any]:
        """What ComfyUI shows of it: the file's name."""
        path = Path(file).expanduser()
        style.save(path, overwrite=overwrite)
        return {"ui": {"text": [str(path)]}}


class StylizeFaces:
    """Draw every face of the images in a style, in place. The mask is where something was drawn."""

    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = CATEGORY, "stylize", ("IMAGE", "MASK"), ("image", "mask")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple]]:  # noqa: N802
        """The inputs, as ComfyUI asks for them."""
        usual = mien.RenderConfig()

        def share(default: float, most: float, tooltip: str) -> tuple:
            return ("FLOAT", {"default": default, "min": 0.0, "max": most, "step": 0.05, "tooltip": tooltip})

        return {
            "required": {
                "image": ("IMAGE",),
                "style": (STYLE,),
                "strength": share(1.0, 2.0, "How much style: 0 is the model's own face of the person."),
                "fidelity": share(USUAL_FIDELITY, 1.0, "Higher preserves identity, lower follows the style."),
            },
            "optional": {
                "hair": share(usual.hair, 1.0, "How much of the photo's own strands hair keeps."),
                "surroundings": share(1.0, 1.0, "How far the rest of the photo takes the colors of the style."),
                "faces": (["all", "largest"],),
                "refine_steps": ("INT", {"default": usual.refine_steps, "min": 0, "max": 500}),
                "upscale": (["auto", "none"],),
                "keep": ("STRING", {"default": "", "tooltip": f"Parts that stay the person's own: {', '.join(FEATURES)}."}),
                "without_face": (["pass", "error"], {"tooltip": "What becomes of an image in which there is no face."}),
            },
        }

    def stylize(
        self, image: Tensor, style: mien.Style, strength: float, fidelity: float, hair: float = mien.RenderConfig.hair,
        surroundings: float = 1.0, faces: str = "all", refine_steps: int = mien.RenderConfig.refine_steps,
        upscale: str = "auto", keep: str = "", without_face: str = "pass",
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Images [B, H, W, C] in [0, 1], and where faces were drawn, [B, H, W]."""
        kept = {part.strip(): 1.0 for part in keep.split(",") if part.strip()}
        config = mien.RenderConfig(
            strength=strength, fidelity=fidelity, hair=hair, surroundings=surroundings, refine_steps=refine_steps,
            upscale=upscale, keep=kept,  # type: ignore[arg-type]
        )  # fmt: skip
        align, progress = mien.AlignConfig(face=faces), _progress()  # type: ignore[arg-type]
        images, masks = [], []
        for one in image:
            try:
                result = _stylizer().apply(style, _data(one), config, align=align, progress=progress)
            except FaceNotFoundError:
                if without_face == "error":
                    raise
                images.append(one.detach().float().cpu())
                masks.append(torch.zeros(one.shape[:2]))
                continue
            images.append(_image(result.image_data))
            masks.append(_mask(result))
        return torch.stack(images), torch.stack(masks)


NODE_CLASS_MAPPINGS = {
    "MienLoadStyle": LoadStyle,
    "MienLearnStyle": LearnStyle,
    "MienSaveStyle": SaveStyle,
    "MienStylizeFaces": StylizeFaces,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MienLoadStyle": "Load Style (mien)",
    "MienLearnStyle": "Learn Style from Image (mien)",
    "MienSaveStyle": "Save Style (mien)",
    "MienStylizeFaces": "Stylize Faces (mien)",
}
