"""Images in and out: upright, in their own depth and colors, and one sentence for whatever is not an image."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mien import files
from mien.errors import InputError
from mien.media import deep, icc_profile, images
from mien.media.images import ImageData, from_tensor, list_images, read_image, write_image


def pixels_of(channels: int, dtype: Any = np.uint8, height: int = 37, width: int = 52) -> NDArray[Any]:
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype, endpoint=True)


@cache  # its bytes hold the second in which it was made
def profile(gamma: float = 1.8) -> bytes:
    """An RGB profile that is not sRGB: littlecms' sRGB with the three tone curves replaced by a plain gamma."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    for index in range(count):
        at = 132 + 12 * index
        name, offset, _ = struct.unpack_from(">4sII", data, at)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">4sIHHi", data, offset, b"para", 0, 0, 0, int(gamma * 65536))
    return bytes(data)


def smooth(height: int = 40, width: int = 50) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x / width, y / height, (x + y) / (height + width)], axis=-1).__mul__(255).astype(np.uint8)


# --- depth, alpha, profile ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_formats_keep_depth_and_alpha(tmp_path: Path, suffix: str, channels: int, dtype: Any) -> None:
    before = pixels_of(channels, dtype)
    path = write_image(tmp_path / f"a{suffix}", ImageData(before))
    if dtype == np.uint16 and channels == 2 and suffix == ".tif":
        before = before[..., [0, 0, 0, 1]]
    after = read_image(path).pixels
    assert after.dtype == before.dtype
    assert np.array_equal(after, before)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_is_kept(tmp_path: Path, suffix: str, dtype: Any) -> None:
    path = write_image(tmp_path / f"a{suffix}", ImageData(pixels_of(3, dtype), profile()))
    assert read_image(path).icc == profile()


def test_sixteen_bit_png_is_a_png_to_others(tmp_path: Path) -> None:
    before = pixels_of(4, np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(deep.png_bytes(before, None))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), before >> 8)
    assert np.array_equal(read_image(path).pixels, before)


def test_jpeg_and_webp_have_eight_bits_and_jpeg_no_alpha(tmp_path: Path) -> None:
    deep_pixels = np.full((16, 16, 4), 40000, np.uint16)
    deep_pixels[:, 8:, 3] = 0
    jpeg = read_image(write_image(tmp_path / "a.jpg", ImageData(deep_pixels), quality=100))
    assert jpeg.pixels.shape == (16, 16, 3)
    assert jpeg.pixels[8, 15].min() > 250, "a transparent part is laid on white"
    webp = read_image(write_image(tmp_path / "a.webp", ImageData(deep_pixels)))
    assert webp.pixels.dtype == np.uint8
    assert webp.has_alpha


def test_quality_changes_the_size(tmp_path: Path) -> None:
    image = ImageData(pixels_of(3, height=100, width=100))
    sizes = [write_image(tmp_path / f"{q}.jpg", image, quality=q).stat().st_size for q in (20, 95)]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_not_written_again(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(smooth())
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    stored.save(tmp_path / "a.png", exif=exif)
    read = read_image(tmp_path / "a.png")
    from PIL import ImageOps

    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(read.pixels, np.asarray(ImageOps.exif_transpose(image)))
    written = write_image(tmp_path / "b.jpg", read)
    with Image.open(written) as image:
        assert not dict(image.getexif())
    assert b"GPS" not in written.read_bytes()


# --- modes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGB", 3), ("RGBA", 4), ("I;16", 1), ("CMYK", 3)]
)
def test_every_mode_gives_its_channels_and_the_same_colors(tmp_path: Path, mode: str, channels: int) -> None:
    source = Image.fromarray(smooth())
    if mode == "I;16":
        image = Image.fromarray(np.asarray(source.convert("L")).astype(np.uint16) * 257)
    else:
        image = source.convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    read = read_image(path)
    assert read.pixels.shape == (40, 50, channels)
    expected = np.asarray((source.convert("L") if mode == "I;16" else image).convert("RGB")).astype(np.float32)
    got = (read.rgb().permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(got - expected).max() < 1.1


def test_palette_with_transparency_gets_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(smooth()).convert("P")
    image.save(tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    read = read_image(tmp_path / "a.png")
    assert read.has_alpha
    assert read.pixels[0, 0, 3] == 0
    assert torch.allclose(read.rgb()[:, 0, 0], torch.ones(3)), "transparent parts lie on white"


def test_cmyk_jpeg_looks_like_its_rgb(tmp_path: Path) -> None:
    source = Image.fromarray(smooth())
    source.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    got = read_image(tmp_path / "a.jpg").pixels.astype(int)
    assert np.abs(got - np.asarray(source).astype(int)).mean() < 4


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert tuple(read_image(tmp_path / "a.gif").pixels[10, 10]) == (255, 0, 0)


def test_heic_without_the_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    path = tmp_path / "a.heic"
    path.write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(200))
    with pytest.raises(InputError, match=r"mien\[heif\]"):
        read_image(path)


def test_heic_is_read_with_the_extra(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    heif.register_heif_opener()
    Image.fromarray(smooth()).save(tmp_path / "a.heic", quality=95)
    image = read_image(tmp_path / "a.heic")
    assert np.abs(image.pixels.astype(int) - smooth().astype(int)).mean() < 4
    cut = (tmp_path / "a.heic").read_bytes()[:300]
    with pytest.raises(InputError, match=r"damaged|not an image"):
        images.decode_image(cut, tmp_path / "a.heic")


# --- colors ------------------------------------------------------------------------------------------------------------


def test_a_profile_changes_rgb_and_comes_back() -> None:
    image = ImageData(smooth(), profile(1.2))
    plain = ImageData(smooth())
    assert (image.rgb() - plain.rgb()).abs().mean() > 0.1, "gamma 1.2 is much darker in code values than sRGB"
    # By hand: linear = v ** 1.2, then the sRGB curve; same primaries.
    value = smooth()[20, 25].astype(np.float64) / 255
    linear = value**1.2
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.allclose((image.rgb()[:, 20, 25].numpy() + 1) / 2, srgb, atol=0.012)
    back = image.from_srgb(image.to_srgb(image.pixels))
    assert np.abs(back - image.pixels).mean() < 1.0


def test_srgb_is_recognised_by_what_it_does() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert icc_profile.is_srgb(srgb)
    assert not icc_profile.is_srgb(profile())
    image = ImageData(smooth(), srgb)
    assert torch.equal(image.rgb(), ImageData(smooth()).rgb())


def test_sixteen_bit_colors_stay_smooth_through_a_profile() -> None:
    ramp = np.repeat(np.arange(20000, 24096, dtype=np.uint16)[None, :, None], 3, axis=2)
    image = ImageData(ramp, profile(2.0))
    values = image.rgb()[0, 0]
    assert len(values.unique()) > 3000, "8 bits alone would leave about 16 values"


def test_broken_profile_warns_and_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.png", icc_profile=b"not a profile at all" * 10)
    with pytest.warns(UserWarning, match="profile cannot be used"):
        assert read_image(tmp_path / "a.png").icc is None


def test_colored_repeats_gray() -> None:
    gray = ImageData(pixels_of(2))
    assert gray.colors == 1
    colorful = gray.colored()
    assert colorful.pixels.shape[2] == 4
    assert np.array_equal(colorful.pixels[..., :3], np.repeat(gray.pixels[..., :1], 3, axis=2))
    assert torch.equal(colorful.rgb(), gray.rgb())


def test_rgb_and_from_tensor_are_inverse() -> None:
    image = ImageData(pixels_of(3))
    assert np.array_equal(from_tensor(image.rgb()).pixels, image.pixels)
    assert image.rgb().min() >= -1
    assert image.rgb().max() <= 1
    with pytest.raises(ValueError, match=r"\[3, H, W\]"):
        from_tensor(torch.zeros(1, 3, 4, 4))


# --- what cannot be used ------------------------------------------------------------------------------------------------


def _png_of(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def _encoded(kind: str, cut: float) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels_of(3, height=90, width=90)).save(stream, kind)
    return stream.getvalue()[: int(len(stream.getvalue()) * cut)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "empty"),
        (lambda: b"<html><body>404</body></html>", "not an image"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
        (lambda: b"\x89PNG\r\n\x1a\n", "not an image|damaged"),
        (lambda: _encoded("PNG", 0.5), "damaged"),
        (lambda: _encoded("JPEG", 0.4), "damaged"),
        (lambda: _encoded("WEBP", 0.5), "damaged|not an image"),
        (lambda: _encoded("TIFF", 0.5), "damaged|not an image"),
        (lambda: deep.png_bytes(pixels_of(3, np.uint16), None)[:4000], "damaged"),
        (lambda: _png_of(11000, 11000), "megapixels"),
        (lambda: _png_of(2**30, 2**30), "megapixels"),
    ],
)
def test_unusable_files_give_one_sentence(tmp_path: Path, content: Callable[[], bytes], words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content())
    with pytest.raises(InputError, match=words) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_cut_and_random_damage_is_an_input_error_or_a_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        whole = bytearray(_encoded(kind, 1.0))
        for _ in range(25):
            damaged = bytearray(whole)
            for position in rng.integers(0, min(len(whole), 400), 6):
                damaged[position] = rng.integers(0, 256)
            with contextlib.suppress(InputError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = images.decode_image(bytes(damaged), Path("damaged"))
                assert image.rgb().isfinite().all()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="folder"):
        read_image(tmp_path)


def test_floating_point_and_deeper_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="floating-point"):
        read_image(tmp_path / "f.tif")
    Image.fromarray(np.full((8, 8), 70000, np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(InputError, match="16 bits"):
        read_image(tmp_path / "i.tif")


# --- writing ------------------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_silently(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", ImageData(pixels_of(3)))
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_image(path, ImageData(pixels_of(1)))
    assert path.read_bytes() == before
    write_image(path, ImageData(pixels_of(1)), overwrite=True)
    assert path.read_bytes() != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"], "no temporary file is left"


def test_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("link", "replace"):
        monkeypatch.setattr(files.os, call, full)
    with pytest.raises(InputError, match="No space left"):
        write_image(tmp_path / "a.png", ImageData(pixels_of(3)))
    assert not list(tmp_path.iterdir())


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    for name in ("a.xyz", "a"):
        with pytest.raises(InputError, match=r"use \.png"):
            write_image(tmp_path / name, ImageData(pixels_of(3)))


def test_folder_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "A.JPG", "c.webp", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deeper.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["A.JPG", "b.png", "c.webp"]
    with pytest.raises(InputError, match="not a folder"):
        list_images(tmp_path / "b.png")
    with pytest.raises(InputError, match="no images"):
        list_images(tmp_path / "deeper.png")


def test_an_error_of_ours_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.tif")

    def wrong(image: Image.Image, icc: bytes | None) -> Image.Image:
        raise TypeError("a mistake of ours")

    monkeypatch.setattr("mien.media.icc_profile.cmyk_to_srgb", wrong)
    with pytest.raises(TypeError, match="a mistake of ours"):
        read_image(tmp_path / "a.tif")
