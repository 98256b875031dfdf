"""Crops of large images: the same as from a copy of full size, without one."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mien.errors import InputError
from mien.faces import crop_reader, paste
from mien.faces.align import CropFrame, extract
from mien.faces.config import AlignConfig
from mien.faces.crop_reader import CropReader
from mien.faces.locate import align_faces
from mien.faces.paste import paste_back
from mien.media.image_data import ImageData
from peak import peak

_FRAMES = (CropFrame((200.0, 150.0), 96.0), CropFrame((200.0, 150.0), 220.0, 25.0), CropFrame((20.0, 30.0), 150.0))


@pytest.fixture
def smooth() -> ImageData:
    """An image without detail of single pixels, in which every place looks different."""
    y, x = np.mgrid[0:300, 0:400] / 60.0
    planes = [np.sin(x + 0.3 * y), np.cos(1.3 * y), np.sin(0.7 * x * y / 4)]
    return ImageData((np.stack(planes, axis=-1) * 100 + 128).astype(np.uint8))


@pytest.mark.parametrize("frame", _FRAMES)
@pytest.mark.parametrize("size", [32, 64])
def test_crops_are_those_of_the_whole(smooth: ImageData, frame: CropFrame, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, inside = extract(smooth.rgb(), frame, size)
    monkeypatch.setattr(crop_reader, "AT_ONCE", 20_000)
    reader = CropReader(smooth)
    assert reader.factor == 3
    assert reader.small.shape == (3, 100, 134)
    crop, there = reader.read(frame, size)
    within = inside[0] > 0.99
    assert float((crop - whole)[:, within].abs().max()) < 0.05
    assert float((there - inside).abs().mean()) < 0.02


def test_the_smaller_copy_is_the_mean_of_blocks(smooth: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.image_data._STRIP", 400 * 7)  # several strips
    small, full = smooth.rgb_reduced(4), smooth.rgb()
    torch.testing.assert_close(small, full.reshape(3, 75, 4, 100, 4).mean(dim=(2, 4)))
    assert smooth.rgb_reduced(7).shape == (3, 43, 58)


def test_a_large_face_is_pasted_in_strips(smooth: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without detail of single pixels: those of noise depend on where the strip's finer grid begins.
    torch.manual_seed(0)
    face = F.interpolate(torch.rand(1, 3, 4, 4) * 2 - 1, (32, 32), mode="bilinear", align_corners=False)[0]
    mask = torch.ones(1, 32, 32)
    frame = CropFrame((200.0, 150.0), 250.0, 10.0)
    at_once = paste_back(smooth, frame, face, mask, match_colors=False)
    monkeypatch.setattr(paste, "AT_ONCE", 1000)
    monkeypatch.setattr(paste, "_ROWS_AT_ONCE", 40)
    in_strips = paste_back(smooth, frame, face, mask, match_colors=False)
    changed = (at_once.pixels != smooth.pixels).any(axis=-1)
    assert changed.sum() > 10_000
    assert int(np.abs(in_strips.pixels.astype(int) - at_once.pixels.astype(int)).max()) <= 6


@pytest.mark.parametrize(
    "config",
    [AlignConfig(box=(0, 0, 1e5)), AlignConfig(box=(5e5, 0, 10)), AlignConfig(box=(0, 0, 1e300)),
     AlignConfig(landmarks=((9e5, 0), (9e5, 99), (9e5, 5), (9e5, 9), (9e5, 90)))],
)  # fmt: skip
def test_places_that_are_of_no_image(smooth: ImageData, config: AlignConfig) -> None:
    with pytest.raises(InputError):
        align_faces(smooth, config, size=32)


_READ = (
    "from mien.media.images import read_image, write_image; from mien.faces.locate import align_faces; "
    "from mien.faces.config import AlignConfig; import mien.media.deep"
)


def _image(path: Path, mode: str) -> None:
    if mode == "16":
        from mien.media.deep import png_bytes

        path.write_bytes(png_bytes(np.zeros((4000, 5000, 4), np.uint16), None))
    else:
        Image.new(mode, (5000, 4000)).save(path)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "per_pixel"), [("1", 10), ("P", 10), ("RGB", 10), ("RGBA", 10), ("CMYK", 10), ("16", 16)])
def test_the_memory_that_the_page_of_limits_promises(tmp_path: Path, mode: str, per_pixel: int) -> None:
    path = tmp_path / ("p.tif" if mode == "CMYK" else "p.png")
    _image(path, mode)
    said, grown = peak(_READ, f"read_image({str(path)!r})")
    assert said == "done"
    assert grown < 100e6 + per_pixel * 20e6


@pytest.mark.slow
def test_a_small_file_of_119_megapixels(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("1", (10900, 10900)).save(path)
    work = f"align_faces(read_image({str(path)!r}), AlignConfig(box=(100, 100, 9000)), size=256)"
    said, grown = peak(_READ, work)
    assert said == "done"
    assert grown < 100e6 + 10 * 10900**2
