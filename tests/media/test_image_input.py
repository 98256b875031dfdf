"""Everything that people call an image becomes the same image, or an error that says what to do."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from mien.errors import InputError
from mien.media.image_data import ImageData
from mien.media.image_input import ImageLike, as_image, pil_from_tensor, to_pil
from mien.media.images import from_tensor, read_image, write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_image(tmp_path / "a.png", ImageData(PIXELS))


def test_every_form_of_an_image_is_the_same_image(file: Path) -> None:
    forms: list[ImageLike] = [
        ImageData(PIXELS), file, str(file), file.read_bytes(), io.BytesIO(file.read_bytes()), Image.open(file),
        Image.fromarray(PIXELS), PIXELS, PIXELS.astype(np.float32) / 255, PIXELS.astype(np.float64) / 255,
        torch.from_numpy(PIXELS).permute(2, 0, 1).float() / 127.5 - 1,
    ]  # fmt: skip
    for form in forms:
        assert np.array_equal(as_image(form).pixels, PIXELS), type(form)
    with file.open("rb") as opened:
        assert as_image(opened).path == file


def test_a_pil_image_keeps_what_a_file_would(tmp_path: Path) -> None:
    turned = Image.fromarray(PIXELS)
    turned.getexif()[0x0112] = 6
    assert as_image(turned).pixels.shape == (9, 6, 3)  # upright
    assert np.array_equal(as_image(turned).pixels, np.rot90(PIXELS, -1))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profiled = Image.fromarray(PIXELS)
    profiled.info["icc_profile"] = icc
    assert as_image(profiled).icc == icc
    see_through = Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]]))
    assert np.array_equal(as_image(see_through).pixels[..., 3], PIXELS[..., 0])
    for mode, channels in {"L": 1, "LA": 2, "1": 1, "P": 3, "CMYK": 3, "YCbCr": 3, "HSV": 3}.items():
        assert as_image(Image.fromarray(PIXELS).convert(mode)).pixels.shape == (6, 9, channels), mode
    deep = Image.fromarray(np.arange(54, dtype=np.uint16).reshape(6, 9) * 1000)
    assert as_image(deep).pixels.dtype == np.uint16
    cut = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.png is damaged"):
        as_image(Image.open(cut))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((3, 6, 9), np.uint8), "channels come last"),
        (np.zeros((2, 6, 9, 3), np.uint8), "one image at a time"),
        (np.zeros((6, 9, 3), np.int64), "int64"),
        (np.full((6, 9, 3), 255.0), "from 0 to 1"),
        (np.full((6, 9, 3), np.nan), "from 0 to 1"),
        (np.zeros((0, 9, 3), np.uint8), r"\[0, 9, 3\]"),
        (torch.zeros(6, 9, 3), r"\[3, H, W\]"),
        (torch.full((3, 6, 9), 255.0), "from -1 to 1"),
        (b"no image", "the image is not an image"),
        (io.StringIO("text"), "'rb'"),
        (None, "NoneType is not an image"),
        ("https://example.org/me.jpg", "download"),
        ("nothing.png", r"nothing\.png"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_is_no_image_is_told_what_to_do(wrong: ImageLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_image(wrong)


def test_what_comes_out_is_a_pil_image_of_8_bits(file: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(np.asarray(to_pil(read_image(file))), PIXELS)
    deep = to_pil(ImageData(PIXELS.astype(np.uint16) * 257, icc))
    assert np.array_equal(np.asarray(deep), PIXELS)
    assert deep.info["icc_profile"] == icc
    assert [to_pil(ImageData(PIXELS[..., :1].repeat(c, axis=2))).mode for c in (1, 2, 3, 4)] == ["L", "LA", "RGB", "RGBA"]
    tensor = torch.rand(3, 5, 5) * 2 - 1
    assert np.array_equal(np.asarray(pil_from_tensor(tensor)), from_tensor(tensor).pixels)


def test_an_address_is_read_as_a_file_is() -> None:
    upath = pytest.importorskip("upath")
    address = upath.UPath("memory://images-of-a-test/me.png")
    address.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    Image.new("RGB", (6, 4), "red").save(stream, "PNG")
    address.write_bytes(stream.getvalue())
    for name in (address, "memory://images-of-a-test/me.png", Path("memory://images-of-a-test/me.png")):
        assert as_image(name).pixels.shape == (4, 6, 3)
