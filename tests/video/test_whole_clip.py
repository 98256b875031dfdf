"""Videos: what goes in comes out, but for the faces. The clips are made here."""

import os
import signal
import struct
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import mien
from mien.cli.app import shell
from mien.errors import InputError, MienError, MienWarning
from mien.latents import Codes
from mien.mappers import Mapped, Seen
from mien.video import VideoConfig, stylize_video
from mien.video.shot import MOST_PIXELS

av = pytest.importorskip("av")
FACE = Path(__file__).parents[2] / "examples" / "face.png"
W, H = 320, 240


class Painter:
    """A mapper that paints faces in one color."""

    size = 64

    def __init__(self, *color: float) -> None:
        self.color = torch.tensor(color)[None, :, None, None]

    def encode(self, crops: Tensor) -> Seen:
        return Seen(Codes(crops.mean(dim=(2, 3))[:, None]), torch.zeros(len(crops), 1, 8, 8))

    def draw(self, seen: Seen, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        place = torch.linspace(-1, 1, self.size)
        disc = (place[None] ** 2 + place[:, None] ** 2 < 0.4).float()
        return Mapped(self.color.expand(len(seen.heads), 3, self.size, self.size), disc.expand(len(seen.heads), 1, -1, -1))

    def __call__(self, crops: Tensor, *, strength: float = 1.0, fidelity: float | None = None) -> Mapped:
        return self.draw(self.encode(crops))


def painter(*colors: tuple[float, float, float] | None) -> mien.Stream:
    mappers = [None if color is None else Painter(*color) for color in colors or ((1.0, -1.0, -1.0),)]
    return mien.Stream(mappers, VideoConfig(detect_side=W), mien.RenderConfig(hair=0))


def person(shift: int = 0, side: int = 210) -> np.ndarray:
    frame = Image.new("RGB", (W, H), "#8090a0")
    frame.paste(Image.open(FACE).convert("RGB").resize((side, side)), (50 + shift, 20))
    return np.asarray(frame)


def wall(shift: int = 0) -> np.ndarray:
    rows = (np.arange(H)[:, None] + shift) * 255 // (H + 40) % 256
    return np.repeat(np.repeat(rows, W, axis=1)[..., None], 3, axis=2).astype(np.uint8)


Prepare = Callable[[Any], None]


def write(
    path: Path, frames: Sequence[np.ndarray], *, times: Sequence[int] = (), codec: str = "libx264", layout: str = "yuv420p",
    sound: str = "", prepare: Prepare = lambda stream: None,
) -> Path:  # fmt: skip
    """A clip of 25 frames a second, or with these times in milliseconds; sound is a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={"crf": "12"} if "lib" in codec else {})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = layout
        if times:
            video.codec_context.time_base = video.time_base = Fraction(1, 1000)
        prepare(video)
        audio = container.add_stream(sound, rate=16000) if sound else None
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(video.encode(frame))
            if audio is not None:
                tone = (8000 * np.sin(np.arange(index * 640, (index + 1) * 640) / 8)).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
                heard.sample_rate, heard.pts = 16000, index * 640
                container.mux(audio.encode(heard))
        container.mux(video.encode())
        if audio is not None:
            container.mux(audio.encode())
    return path


def seen(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def pixels_of(path: Path) -> list[np.ndarray]:
    return [frame.to_ndarray(format="rgb24") for frame in seen(path)]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def is_red(frame: np.ndarray, part: slice = slice(None)) -> bool:
    red, green, blue = (frame[:, part, i].astype(int) for i in range(3))
    return bool(((red > 180) & (green < 90) & (blue < 90)).mean() > 0.03)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [("a.mp4", "libx264", "aac"), ("a.mkv", "libx264", "pcm_s16le"), ("a.webm", "libvpx-vp9", "libopus")],
)
def test_faces_are_drawn_and_sound_is_kept_bit_for_bit(tmp_path: Path, name: str, codec: str, sound: str) -> None:
    source = write(tmp_path / name, [person(i) for i in range(8)], codec=codec, sound=sound)
    result = stylize_video(source, painter(), tmp_path / f"out{source.suffix}")
    assert (result.frames, result.with_faces, result.people, result.broken) == (8, 8, {1}, 0)
    assert packets(result.path) == packets(source)
    assert not result.notes
    frames = pixels_of(result.path)
    assert all(map(is_red, frames))
    ground = np.abs(frames[3][:10].astype(int) - person(3)[:10].astype(int)).mean()
    assert ground < 3
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, result.path.name])


def test_sound_that_does_not_fit_is_coded_anew_and_said(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", [person()] * 6, sound="pcm_s16le")
    with pytest.warns(MienWarning, match="re-encoded as aac"):
        result = stylize_video(source, painter(), tmp_path / "out.mp4")
    with av.open(str(result.path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 6 * 640


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 200, 210, 500, 533, 900]
    source = write(tmp_path / "a.mp4", [person(i) for i in range(7)], times=times)
    result = stylize_video(source, painter(), tmp_path / "out.mp4")
    assert [float(frame.time) for frame in seen(source)] == pytest.approx([t / 1000 for t in times])
    assert [float(frame.time) for frame in seen(result.path)] == pytest.approx([t / 1000 for t in times])


def turned(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the display matrix (a, b, c, d) of ISO 14496-12 into an .mp4, as a telephone does."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (v << 16 for v in matrix)
    path.write_bytes(data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :])


@pytest.mark.parametrize(
    ("matrix", "laid"),
    [
        ((0, 1, -1, 0), lambda upright: np.rot90(upright, 1)),  # a telephone held upright: to be turned clockwise
        ((0, -1, 1, 0), lambda upright: np.rot90(upright, -1)),
        ((-1, 0, 0, -1), lambda upright: upright[::-1, ::-1]),
        ((-1, 0, 0, 1), lambda upright: upright[:, ::-1]),
    ],
)  # fmt: skip
def test_rotation_and_mirror_flags_are_honoured(
    tmp_path: Path, matrix: tuple[int, int, int, int], laid: Callable[[Any], Any]
) -> None:
    upright = person()
    source = write(tmp_path / "a.mp4", [np.ascontiguousarray(laid(upright))] * 3)
    turned(source, matrix)
    result = stylize_video(source, painter(None), tmp_path / "out.mp4")
    frame = seen(result.path)[0]
    assert frame.side_data.get("DISPLAYMATRIX") is None
    assert (frame.width, frame.height) == (W, H)
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - upright.astype(int)).mean() < 4
    assert is_red(pixels_of(stylize_video(source, painter(), tmp_path / "red.mp4").path)[1])


def test_frames_without_a_face_pass_and_cuts_are_noticed(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.mp4", [*[wall(i) for i in range(4)], *[person(i) for i in range(5)], *[wall(i) for i in range(3)]]
    )
    result = stylize_video(source, painter(), tmp_path / "out.mp4")
    assert (result.frames, result.with_faces, result.cuts) == (12, 5, 2)
    before, after = pixels_of(source), pixels_of(result.path)
    assert [is_red(frame) for frame in after] == [False] * 4 + [True] * 5 + [False] * 3
    assert all(np.abs(before[i].astype(int) - after[i].astype(int)).mean() < 2.5 for i in (0, 3, 10))


def test_no_face_at_all_is_said(tmp_path: Path) -> None:
    with pytest.warns(MienWarning, match="No face was found"):
        stylize_video(write(tmp_path / "a.mp4", [wall()] * 3), painter(), tmp_path / "out.mp4")


def test_a_style_for_each_of_two_people(tmp_path: Path) -> None:
    two = [np.concatenate([person(i, 180), person(-i, 210)], axis=1) for i in range(4)]
    source = write(tmp_path / "a.mp4", two)
    stream = painter(None, (1.0, -1.0, -1.0))
    stream.tracker.config = VideoConfig(detect_side=2 * W)
    frames = pixels_of(stylize_video(source, stream, tmp_path / "out.mp4").path)
    assert is_red(frames[2], slice(0, W))  # the smaller one, the second
    assert not is_red(frames[2], slice(W, None))


def test_a_broken_middle_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", [person(i) for i in range(30)], prepare=lambda stream: setattr(stream, "gop_size", 5))
    with av.open(str(source)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    at, size = places[12]
    data[at : at + size] = os.urandom(size)
    source.write_bytes(data)
    with pytest.warns(MienWarning, match="could not be decoded"):
        result = stylize_video(source, painter(), tmp_path / "out.mp4")
    assert result.broken >= 1
    assert 22 <= result.frames < 30
    times = [frame.time for frame in seen(result.path)]
    assert times[-1] == pytest.approx(29 / 25)
    assert is_red(pixels_of(result.path)[-1])


def test_a_file_that_breaks_off_gives_what_there_is(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", [person(i) for i in range(20)])
    with av.open(str(source)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    source.write_bytes(source.read_bytes()[: places[12] + 3])
    result = stylize_video(source, painter(), tmp_path / "out.mp4")
    assert 9 <= result.frames <= 12


def test_colors_keep_their_tags_and_values(tmp_path: Path) -> None:
    def tagged(stream: Any) -> None:
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 2

    source = write(tmp_path / "a.mp4", [person()] * 3, prepare=tagged)
    result = stylize_video(source, painter(), tmp_path / "out.mp4")
    before, after = seen(source)[1], seen(result.path)[1]
    for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
        assert getattr(after, name) == getattr(before, name)
    far = [frame.to_ndarray(format="rgb24")[:15].astype(int) for frame in (before, after)]
    assert np.abs(far[0] - far[1]).mean() < 2


def test_transparency_is_kept_where_there_is_a_place_for_it(tmp_path: Path) -> None:
    alpha = np.linspace(0, 255, W).astype(np.uint8)[None].repeat(H, axis=0)[..., None]
    frames = [np.concatenate([person(i), alpha], axis=2) for i in range(4)]
    source = write(tmp_path / "a.mov", frames, codec="qtrle", layout="argb")
    for name in ("out.mov", "out.webm", "out.mkv"):
        result = stylize_video(source, painter(), tmp_path / name)
        again = stylize_video(result.path, painter(None), tmp_path / f"again-{name}", config=VideoConfig(codec="auto"))
        with av.open(str(again.path)) as container:
            stream = container.streams.video[0]
            decoder = av.CodecContext.create("libvpx-vp9", "r") if name.endswith("webm") else stream.codec_context
            frame = next(f for packet in container.demux(stream) for f in decoder.decode(packet))
            found = frame.to_ndarray(format="rgba")[..., 3]
        assert np.abs(found.astype(int) - alpha[..., 0]).mean() < 4, name
    with pytest.warns(MienWarning, match="no transparency"):
        stylize_video(source, painter(), tmp_path / "out.mp4")


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_animations_keep_their_times_and_transparency(tmp_path: Path, ending: str) -> None:
    frames = [Image.fromarray(person(4 * i)).convert("RGBA") for i in range(4)]
    for frame in frames:
        frame.paste((0, 0, 0, 0), (0, 0, 40, 20))
    source = tmp_path / f"a{ending}"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=[100, 250, 60, 500], loop=3, disposal=2)
    result = stylize_video(source, painter(), tmp_path / f"out{ending}")
    with Image.open(result.path) as image:
        assert image.n_frames == 4
        assert image.info.get("loop") == 3
        times, shown = [], []
        for index in range(4):
            image.seek(index)
            shown.append(np.asarray(image.convert("RGBA")))
            times.append(image.info["duration"])
    assert times == [100, 250, 60, 500]
    assert all(is_red(frame[..., :3]) for frame in shown)
    assert all(frame[5, 5, 3] == 0 and frame[100, 100, 3] == 255 for frame in shown)


def test_an_animation_becomes_a_video_and_back(tmp_path: Path) -> None:
    frames = [Image.fromarray(person(4 * i)[:-1, :-1]) for i in range(4)]  # an odd number of pixels
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    film = stylize_video(tmp_path / "a.gif", painter(), tmp_path / "a.mp4")
    assert [float(frame.time) for frame in seen(film.path)] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert is_red(pixels_of(film.path)[0])
    back = stylize_video(film.path, painter(None), tmp_path / "back.webp")
    with Image.open(back.path) as image:
        assert image.n_frames == 4


def test_progress_counts_frames(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    source = write(tmp_path / "a.mp4", [person()] * 5)
    stylize_video(source, painter(), tmp_path / "out.mp4", progress=lambda done, total, loss: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]


def test_codec_and_quality_do_what_they_say(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", [person(i) for i in range(5)])
    sizes = {}
    for quality in (20, 95):
        made = stylize_video(source, painter(), tmp_path / f"{quality}.mp4", config=VideoConfig(quality=quality))
        sizes[quality] = made.path.stat().st_size
    assert sizes[95] > 2 * sizes[20]
    for codec, name in (("h265", "hevc"), ("vp9", "vp9")):
        made = stylize_video(source, painter(), tmp_path / f"{codec}.mp4", config=VideoConfig(codec=codec))
        with av.open(str(made.path)) as container:
            assert container.streams.video[0].codec_context.name == name
    with pytest.raises(InputError, match="choose another `codec`"):
        stylize_video(source, painter(), tmp_path / "a.webm", config=VideoConfig(codec="h264"))
    with pytest.raises(InputError, match="quality"):
        VideoConfig(quality=0)


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write(tmp_path / "a.mp4", [person(i) for i in range(3)]), tmp_path / "out.mp4"
    assert shell(["video", "ink", str(source), "-o", str(out), "--dtype", "bfloat16", "--detect-side", "320"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert np.abs(pixels_of(source)[2].astype(int) - pixels_of(out)[2].astype(int)).mean() > 4
    assert shell(["video", "ink", str(source), "-o", str(out)]) == 2
    assert shell(["video", "none,ink", str(source), "-o", str(out), "--overwrite", "--detect-side", "320"]) == 0
    assert np.abs(pixels_of(source)[2].astype(int) - pixels_of(out)[2].astype(int)).mean() < 2
    assert shell(["apply", "ink", str(source), "-o", str(tmp_path / "a.png")]) == 2
    assert "mien video" in capsys.readouterr().err


def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    good = write(tmp_path / "good.mp4", [person()] * 2)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mov").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:400])
    (tmp_path / "noise.mkv").write_bytes(os.urandom(5000))
    Image.new("RGB", (20, 20)).save(tmp_path / "still.gif")
    (tmp_path / "noise.gif").write_bytes(b"GIF89a" + os.urandom(500))
    there = sorted(tmp_path.iterdir())
    for name in ("text.mp4", "empty.mov", "cut.mp4", "noise.mkv", "still.gif", "noise.gif", "missing.mp4", "."):
        with pytest.raises(MienError) as told:
            stylize_video(tmp_path / name, painter(), tmp_path / "out.mp4")
        assert "\n" not in str(told.value)
    for target in ("out.txt", "out", "good.mp4"):
        with pytest.raises(InputError):
            stylize_video(good, painter(), tmp_path / target)
    assert sorted(tmp_path.iterdir()) == there
    stylize_video(good, painter(), tmp_path / "out.mp4")
    with pytest.raises(InputError, match="exists"):
        stylize_video(good, painter(), tmp_path / "out.mp4")
    stylize_video(good, painter(), tmp_path / "out.mp4", overwrite=True)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(audio.encode(frame))
        container.mux(audio.encode())
    with pytest.raises(InputError, match="no video in it"):
        stylize_video(tmp_path / "a.m4a", painter(), tmp_path / "out.mp4")


def test_frames_beyond_the_limit_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_PIXELS >= 7680 * 4320
    source = write(tmp_path / "a.mp4", [person()] * 2)
    monkeypatch.setattr("mien.video.shot.MOST_PIXELS", W * H - 1)
    with pytest.raises(InputError, match="320 x 240"):
        stylize_video(source, painter(), tmp_path / "out.mp4")


def test_the_package_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.mp4", [person()] * 2)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MienError, match=r"pip install \"mien\[video\]\""):
        stylize_video(source, painter(), tmp_path / "out.mp4")


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_file(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", [person(i % 20) for i in range(90)])
    seen_half: list[int] = []

    def progress(done: int, total: int, loss: float) -> None:
        if len(list(tmp_path.iterdir())) == 2:  # the coder keeps the first frames to itself
            seen_half.append(done)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            stylize_video(source, painter(), tmp_path / "out.mp4", progress=progress)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen_half) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Peaks of what Python holds: frames of 0.2 MB that stayed would make the long clip's 10 MB higher."""
    peaks = []
    for count in (16, 64):
        clip = write(tmp_path / f"{count}.mp4", [person(round(8 * np.sin(i / 4))) for i in range(count)])
        tracemalloc.start()
        made = stylize_video(clip, painter(), tmp_path / f"made-{count}.mp4")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert made.frames == count
    assert peaks[1] < peaks[0] + 2_000_000, peaks
