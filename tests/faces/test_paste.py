"""The way back into the photo: exact outside the mask, faithful inside, depth, alpha and profile kept; masks follow heads."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ImageCms
from torch import Tensor

from mien.faces import CropFrame, enlargement, extract, paste_back, whole_frame
from mien.faces.head_mask import covering_mask, head_mask
from mien.media.images import ImageData, read_image


def scene(height: int = 150, width: int = 180, channels: int = 3, dtype: Any = np.uint8, fineness: float = 5.0) -> ImageData:
    """An image full of detail down to `fineness` pixels."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    slant = 0.3 * np.sin((x + 2 * y) / (3 * fineness))
    planes = [np.sin(x / fineness + k) * np.cos(y / (fineness + k)) + slant for k in range(channels)]
    peak = np.iinfo(dtype).max
    return ImageData(np.clip((np.stack(planes, axis=-1) * 0.35 + 0.5) * peak, 0, peak).round().astype(dtype))


def inside(frame: CropFrame, image: ImageData, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which pixels lie in the frame, `margin` of its side away from its edges."""
    y, x = torch.meshgrid(torch.arange(image.height) + 0.5, torch.arange(image.width) + 0.5, indexing="ij")
    place = frame.to_crop(1)(torch.stack([x, y], dim=-1).double())
    return ((place - 0.5).abs().amax(dim=-1) < 0.5 - margin).numpy()


def decibels(one: ImageData, other: ImageData, where: NDArray[np.bool_]) -> float:
    error = (one.pixels[where].astype(np.float64) - other.pixels[where]) / one.peak
    return -10 * math.log10(max(1e-12, float((error**2).mean())))


def disc(size: int) -> Tensor:
    line = (torch.arange(size) + 0.5) / size - 0.5
    radius = (line[:, None] ** 2 + line[None] ** 2).sqrt()
    return ((0.35 - radius) * 20).clamp(0, 1)[None]


FRAME = CropFrame((92.3, 71.8), 96.0, 11.0)


@pytest.mark.parametrize("frame", [FRAME, CropFrame((92.3, 71.8), 96.0), CropFrame((90.0, 72.0), 96.0, 90.0)])
def test_unchanged_crop_returns_the_photo(frame: CropFrame) -> None:
    image = scene()
    crop, _ = extract(image.rgb(), frame, 96)
    result = paste_back(image, frame, crop, torch.ones(1, 96, 96))
    assert decibels(result, image, inside(frame, image)) > 50


def test_outside_the_mask_nothing_changes() -> None:
    image = scene()
    mask = disc(64)
    result = paste_back(image, FRAME, torch.rand(3, 64, 64) * 2 - 1, mask)
    place = FRAME.to_crop(64)
    y, x = torch.meshgrid(torch.arange(150) + 0.5, torch.arange(180) + 0.5, indexing="ij")
    center = place(torch.stack([x, y], dim=-1).double()) / 64 - 0.5
    far = (center.norm(dim=-1) > 0.35 + 5 / 64).numpy()
    assert np.array_equal(result.pixels[far], image.pixels[far])
    near = (center.norm(dim=-1) < 0.25).numpy()
    assert (result.pixels[near] != image.pixels[near]).mean() > 0.9
    assert np.array_equal(paste_back(image, FRAME, torch.zeros(3, 64, 64), torch.zeros(1, 64, 64)).pixels, image.pixels)


def test_input_is_not_written_to() -> None:
    image = scene()
    before = image.pixels.copy()
    paste_back(image, FRAME, torch.zeros(3, 32, 32), torch.ones(1, 32, 32))
    assert np.array_equal(image.pixels, before)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_alpha_and_profile_are_kept(channels: int, dtype: Any) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if channels >= 3 else None
    image = ImageData(scene(channels=channels, dtype=dtype).pixels, profile)
    face = torch.full((3, 48, 48), 0.5)
    result = paste_back(image, FRAME, face, disc(48), match_colors=False)
    assert result.pixels.dtype == dtype
    assert result.pixels.shape == image.pixels.shape
    assert result.icc == profile
    if image.has_alpha:
        assert np.array_equal(result.pixels[..., -1], image.pixels[..., -1])
    middle = result.pixels[72, 92, : image.colors].astype(float) / result.peak
    assert np.allclose(middle, 0.75, atol=0.005)


def wide_gamut() -> bytes:
    """The sRGB profile with other primaries: red and green exchanged, which no test could miss."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for index in range(struct.unpack_from(">I", data, 128)[0]):
        at = 132 + 12 * index
        tags[bytes(data[at : at + 4])] = at
    data[tags[b"rXYZ"] : tags[b"rXYZ"] + 4], data[tags[b"gXYZ"] : tags[b"gXYZ"] + 4] = b"gXYZ", b"rXYZ"
    ImageCms.ImageCmsProfile(io.BytesIO(bytes(data)))
    return bytes(data)


def test_face_is_given_in_the_photos_own_colors() -> None:
    image = ImageData(np.full((60, 60, 3), 128, np.uint8), wide_gamut())
    red = torch.tensor([0.9, -0.8, -0.8])[:, None, None].expand(3, 30, 30)
    result = paste_back(image, CropFrame((30, 30), 30), red, torch.ones(1, 30, 30), match_colors=False)
    stored = result.pixels[30, 30]
    assert stored[1] > 200 > 60 > stored[0], "its profile calls red what others call green"
    assert torch.allclose(result.rgb()[:, 30, 30], red[:, 0, 0], atol=0.03)


def test_mask_fades_towards_edges_beyond_which_the_photo_goes_on() -> None:
    image = ImageData(np.zeros((100, 100, 3), np.uint8))
    frame = CropFrame((50.0, 30.0), 60.0)  # its upper edge is the photo's, the others are not
    result = paste_back(image, frame, torch.ones(3, 60, 60), torch.ones(1, 60, 60), match_colors=False)
    column, row = result.pixels[:, 50, 0].astype(int), result.pixels[30, :, 0].astype(int)
    assert column[0] == 255
    assert column[45] == 255
    assert 0 < column[58] < 128
    assert column[60] == 0
    assert 0 < row[21] < 128
    assert np.abs(np.diff(column[40:])).max() < 130, "no hard edge"


def test_whole_image_is_replaced_up_to_its_border() -> None:
    image = scene(64, 64)
    result = paste_back(image, whole_frame(64, 64), torch.full((3, 64, 64), -1.0), torch.ones(1, 64, 64), match_colors=False)
    assert result.pixels.max() == 0


def test_colors_meet_at_the_border_and_the_style_stays_inside() -> None:
    image = ImageData(np.full((120, 120, 3), 200, np.uint8))
    frame = CropFrame((60.0, 60.0), 100.0)
    photo_value = 200 / 127.5 - 1
    face = torch.full((3, 100, 100), photo_value - 0.2)  # a background slightly too dark
    line = (torch.arange(100) + 0.5) / 100 - 0.5
    radius = (line[:, None] ** 2 + line[None] ** 2).sqrt()
    face[:, radius < 0.2] = -0.9  # a drawn head, black
    mask = disc(100)
    plain = paste_back(image, frame, face, mask, match_colors=False)
    matched = paste_back(image, frame, face, mask)
    at_border = 60 + round(0.32 * 100)
    assert abs(int(matched.pixels[60, at_border, 0]) - 200) < 0.35 * abs(int(plain.pixels[60, at_border, 0]) - 200)
    assert abs(int(matched.pixels[60, 60, 0]) - int(plain.pixels[60, 60, 0])) <= 1, "the head keeps its black"


def test_enlarging_is_smooth_and_its_factor_is_told() -> None:
    frame = CropFrame((100.0, 100.0), 160.0)
    assert enlargement(frame, 32) == 5.0
    y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
    face = torch.stack([torch.sin(x / 5), torch.cos(y / 4), torch.sin((x + y) / 6)]) * 0.7
    image = ImageData(np.full((200, 200, 3), 128, np.uint8))
    result = paste_back(image, frame, face, torch.ones(1, 32, 32), match_colors=False).rgb()
    y, x = torch.meshgrid((torch.arange(60, 140) + 0.5 - 20) / 5, (torch.arange(60, 140) + 0.5 - 20) / 5, indexing="ij")
    exact = torch.stack([torch.sin(x / 5), torch.cos(y / 4), torch.sin((x + y) / 6)]) * 0.7
    assert (result[:, 60:140, 60:140] - exact).abs().max() < 0.03


def test_overlapping_faces_go_one_after_the_other() -> None:
    image = scene()
    one, other = CropFrame((70.0, 75.0), 90.0, 5.0), CropFrame((110.0, 75.0), 90.0, -8.0)
    red, blue = (torch.tensor(c)[:, None, None].expand(3, 64, 64) for c in ([0.9, -0.9, -0.9], [-0.9, -0.9, 0.9]))
    first = paste_back(image, one, red, disc(64), match_colors=False)
    both = paste_back(first, other, blue, disc(64), match_colors=False)
    assert both.pixels[75, 60, 0] > 200, "the first stays where the second is not"
    assert both.pixels[75, 125, 2] > 200
    untouched = ~(inside(one, image) | inside(other, image))
    assert np.array_equal(both.pixels[untouched], image.pixels[untouched])


def test_frame_partly_or_wholly_outside_the_photo() -> None:
    image = scene()
    far = paste_back(image, CropFrame((-500.0, 0.0), 100.0), torch.zeros(3, 32, 32), torch.ones(1, 32, 32))
    assert np.array_equal(far.pixels, image.pixels)
    edge = CropFrame((0.0, 75.0), 80.0, 20.0)
    crop, _ = extract(image.rgb(), edge, 80)
    result = paste_back(image, edge, crop, torch.ones(1, 80, 80))
    assert decibels(result, image, inside(edge, image)) > 40


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(ValueError, match=r"\[3, s, s\]"):
        paste_back(scene(), FRAME, torch.zeros(3, 32, 30), torch.ones(1, 32, 30))
    with pytest.raises(ValueError, match=r"\[1, s, s\]"):
        paste_back(scene(), FRAME, torch.zeros(3, 32, 32), torch.ones(1, 16, 16))
    with pytest.raises(ValueError, match="crop and stylized"):
        head_mask(torch.zeros(3, 32, 32), torch.zeros(3, 16, 16))


# --- head masks ---------------------------------------------------------------------------------------------------------


def bust(size: int = 128, hair: float = 0.30) -> Tensor:
    """A face with dark hair before a light wall, made of ellipses, in the FFHQ frame."""
    line = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    image = torch.tensor([0.55, 0.6, 0.7])[:, None, None].repeat(1, size, size)

    def paint(color: tuple[float, float, float], cx: float, cy: float, rx: float, ry: float) -> None:
        where = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        image[:, where] = torch.tensor(color)[:, None]

    paint((-0.6, -0.5, -0.2), 0.5, 1.15, 0.45, 0.25)
    paint((-0.75, -0.8, -0.85), 0.5, 0.45, hair, 0.38)
    paint((0.45, 0.1, -0.1), 0.5, 0.92, 0.13, 0.15)
    paint((0.5, 0.15, -0.05), 0.5, 0.55, 0.21, 0.28)
    for eye in (0.4, 0.6):
        paint((-0.8, -0.8, -0.8), eye, 0.47, 0.035, 0.02)
    paint((0.3, -0.5, -0.4), 0.5, 0.73, 0.08, 0.025)
    return image + 0.02 * torch.randn(3, size, size)


def test_mask_covers_head_and_hair_and_leaves_the_wall() -> None:
    image = bust()
    mask = head_mask(image, image)[0]
    assert mask.shape == (128, 128)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert mask[int(0.55 * 128), 64] > 0.95, "face"
    assert mask[int(0.13 * 128), 64] > 0.8, "hair"
    assert mask[10, 5] < 0.1, "wall"
    assert mask[10, 122] < 0.1
    assert mask[127].max() < 0.05, "faded below the neck"


def test_mask_covers_a_larger_drawn_head_and_leaves_the_photos_larger_hair() -> None:
    small, large = bust(hair=0.24), bust(hair=0.36)
    masks = [head_mask(*pair).sum().item() for pair in ((small, small), (small, large), (large, small))]
    assert masks[1] > masks[0] * 1.05
    assert masks[2] < 0.85 * masks[1]


def test_the_photos_face_is_covered_even_where_nothing_is_drawn_and_hair_as_far_as_asked() -> None:
    own, none = torch.ones(1, 96, 96), torch.zeros(1, 96, 96)
    cheek, hair = (58, 33), (15, 48)
    covered = covering_mask(own, none)[0]
    assert covered[cheek] > 0.9
    assert covered[hair] < 0.1
    for amount in (0.0, 0.3, 1.0):
        mask = covering_mask(own, own, hair=amount)[0]
        assert mask[cheek] > 0.9
        assert mask[hair] == pytest.approx(amount, abs=0.05)
        assert covering_mask(none, own, hair=amount)[0][hair] == 1, "a drawn head beside the photo's has no other hair"


def test_mask_size_follows_the_crop() -> None:
    for size in (48, 300):
        assert head_mask(bust(size), bust(size)).shape == (1, size, size)


@pytest.mark.slow
def test_real_photos_return_at_45_decibels_with_the_background_untouched(shared: Path) -> None:
    from mien.faces import find_faces

    found = 0
    for path in sorted((shared / "data" / "photos").glob("portrait_0[035].webp")):
        image = read_image(path)
        rgb = image.rgb()
        frame = find_faces(rgb)[0].frame()
        size = math.ceil(frame.side)
        crop, _ = extract(rgb, frame, size)
        mask = head_mask(crop, crop)
        result = paste_back(image, frame, crop, mask)
        assert decibels(result, image, inside(frame, image)) >= 45
        altered = paste_back(image, frame, -crop, mask)
        untouched = ~inside(frame, image)
        assert np.array_equal(altered.pixels[untouched], image.pixels[untouched])
        found += 1
    assert found == 3
