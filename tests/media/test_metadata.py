"""What is kept of a photo's metadata, and what never is."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienWarning
from mien.media.images import decode_image, read_image, write_image

_PLACE, _EXPOSURE, _MAKER_NOTE, _SERIAL = 0x8825, 0x8769, 0x927C, 0xA431


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG that lies on its side, with a camera, a date, a place, a maker note and 300 dpi."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x010E] = "Maker", "Model 1", 6, "a secret"
    exif[_EXPOSURE] = {0x9003: "2026:05:01 10:00:00", _MAKER_NOTE: b"secret", _SERIAL: "123", 0x829D: 2.8}
    exif[_PLACE] = {1: "N", 2: (52.0, 30.0, 0.0)}
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 20), "red").save(path, exif=exif.tobytes(), dpi=(300, 300))
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_date_and_camera_are_kept_and_the_place_is_not(photo: Path, tmp_path: Path, suffix: str) -> None:
    image = read_image(photo)
    assert (image.width, image.height) == (20, 40)
    with Image.open(write_image(tmp_path / f"out{suffix}", image)) as written:
        exif = written.getexif()
        exposure = exif.get_ifd(_EXPOSURE)
        assert written.size == (20, 40)
    assert (exif[0x010F], exif[0x0110]) == ("Maker", "Model 1")
    assert exposure[0x9003] == "2026:05:01 10:00:00"
    assert float(exposure[0x829D]) == pytest.approx(2.8)
    assert not exif.get_ifd(_PLACE)
    assert not {_MAKER_NOTE, _SERIAL} & set(exposure)
    assert exif.get(0x0112, 1) == 1
    assert 0x010E not in exif
    assert b"secret" not in (tmp_path / f"out{suffix}").read_bytes()


def test_the_resolution_is_kept_as_each_format_states_it(photo: Path, tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif"):
        with Image.open(write_image(tmp_path / f"out{suffix}", read_image(photo))) as written:
            assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_it(photo: Path, tmp_path: Path, suffix: str) -> None:
    image = read_image(photo)
    deep = replace(image, pixels=image.pixels.astype(np.uint16) * 257)
    with Image.open(write_image(tmp_path / f"out{suffix}", deep)) as written:
        exif = written.getexif()
        assert (exif[0x010F], exif.get_ifd(_EXPOSURE)[0x9003]) == ("Maker", "2026:05:01 10:00:00")
        assert float(exif.get_ifd(_EXPOSURE)[0x829D]) == pytest.approx(2.8)
        assert suffix == ".png" or written.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert (read_image(tmp_path / f"out{suffix}").pixels == deep.pixels).all()


def test_a_photo_without_metadata_gets_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").exif is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_moving_image_the_first_frame_is_taken_and_said(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "green")]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    with pytest.warns(MienWarning, match="first frame alone"):
        image = decode_image(stream.getvalue(), Path("moving"))
    red = image.pixels[8, 8]
    assert red[0] > 200
    assert red[2] < 60
