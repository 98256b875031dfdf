"""A drawn face back in its photo: sharp where asked, hair as asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.checkpoint.upscaler_weights import PACKAGE, upscaler_is_installed
from mien.faces import CropFrame
from mien.faces.blend import blend_face
from mien.faces.head_mask import own_head
from mien.faces.results import Result, StylizedFace, note_softness
from mien.media.images import ImageData

FRAME = CropFrame((120.0, 120.0), 192.0)
_LINE = (torch.arange(64) + 0.5) / 64


def _bust(hair: float, strands: float) -> torch.Tensor:
    """A face with dark hair before a light wall, [3, 64, 64]; `strands` is the contrast of its hair."""
    y, x = torch.meshgrid(_LINE, _LINE, indexing="ij")
    image = torch.full((3, 64, 64), 0.7)
    inside = ((x - 0.5) / 0.34).square() + ((y - 0.48) / 0.42).square() < 1
    image[:, inside] = (hair + strands * torch.sin(x * 200))[inside]
    image[:, ((x - 0.5) / 0.2).square() + ((y - 0.58) / 0.28).square() < 1] = 0.3
    return image


def _blended(factor: float = 1.0, hair: float = 0.0) -> ImageData:
    crop = _bust(-0.6, 0.2)
    large = torch.nn.functional.interpolate(crop[None], size=(192, 192), mode="bicubic")[0]
    photo = torch.full((3, 240, 240), 0.7)
    photo[:, 24:216, 24:216] = large
    image = ImageData(((photo.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
    drawn = _bust(-0.4, 0.0)
    face = StylizedFace(FRAME, crop, own_head(crop), drawn, FRAME.side / 64, lambda: crop)
    return blend_face(image, face, factor=factor, hair=hair)


def test_hair_keeps_as_many_of_the_photos_strands_as_asked() -> None:
    rows, columns = slice(50, 70), slice(90, 150)  # above the forehead
    contrast = [float(_blended(hair=hair).pixels[rows, columns, 0].std()) for hair in (0.0, 0.5, 1.0)]
    assert contrast[0] < contrast[1] < contrast[2]
    assert contrast[0] < 0.5 * contrast[2]


@pytest.mark.skipif(not upscaler_is_installed(), reason=f"needs {PACKAGE}")
def test_upscaling_makes_the_pasted_face_sharper() -> None:
    def steepest(image: ImageData) -> float:
        return float(abs(np.diff(image.pixels[110:150, 60:180, 0].astype(float), axis=1)).max())

    soft, sharp = steepest(_blended()), steepest(_blended(3.0))
    assert sharp > 1.15 * soft


def test_softness_is_noted_unless_the_face_was_upscaled() -> None:
    image, face = _blended(), torch.zeros(3, 64, 64)
    result = Result(image, [])
    soft = StylizedFace(FRAME, face, own_head(face), face, 3.0, lambda: face)
    note_softness(result, soft, 3.0)
    assert not result.notes
    with pytest.warns(match="enlarged 3.0 times"):
        note_softness(result, soft, 1.0, missing="install this")
    assert result.notes[0].endswith("install this.")
