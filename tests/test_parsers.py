"""Whatever a file holds, its reader returns a value or one sentence (`MienError`): nothing else may come out of any of them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.checkpoint import inspect_file, load_encoder, load_identity, load_model, save_model
from mien.checkpoint.regions_file import Regions
from mien.checkpoint.state import write_state
from mien.config import from_toml, to_toml
from mien.dataset.config import CropConfig
from mien.dataset.journal import Journal
from mien.errors import InputError, MienError
from mien.evaluation.model_report.curve import read_point
from mien.evaluation.votes import KEY, count_votes
from mien.faces.align import ffhq_frame, frame_from_box, parse_landmarks
from mien.media.collection import read_images
from mien.media.images import decode_image
from mien.models.model import Model
from mien.styles import Style
from mien.training.config import TrainConfig
from mien.training.html_report import page
from mien.training.run_folder import RunFolder
from mien.training.saved_state import read_run
from toys import tiny, tiny_discriminator

_MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_NUMBERS = st.one_of(
    st.integers(-2, 70), st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**30, 10**400]), st.floats(), st.just(1e308)
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=8), st.just("\x1b[2J"), st.just("A" * 3000)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


class _Endless(str):
    """A long text, shown short where a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} characters of {self[:6]}>"


_DEEP = st.sampled_from(
    ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000, "9" * 5000, "1e999", "NaN", "-Infinity", ""]
).map(_Endless)
_JSON = st.one_of(_DEEP, _VALUES.map(json.dumps))
_EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1), st.integers(0, 255)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.floats(0, 0.2)),
        st.tuples(st.just("twice"), st.floats(0, 1), st.floats(0, 0.05)),
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


def mutated(data: bytes, edits: list[tuple[str, float, float]]) -> bytes:
    for kind, where, value in edits:
        at = int(where * max(0, len(data) - 1))
        length = int(value * len(data))
        if kind == "set":
            data = data[:at] + bytes([int(value)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + length :]
        else:
            data = data[: at + length] + data[at:]
    return data


def told(reader: Callable[[], Any]) -> None:
    """A value or a sentence that can be printed, and is short."""
    try:
        reader()
    except MienError as error:
        message = str(error)
        assert message.isprintable(), repr(message)
        assert len(message) < 900, message


@_MANY
@given(
    text=st.one_of(_DEEP, _VALUES.map(json.dumps), st.text(max_size=60), st.lists(_NUMBERS, min_size=10, max_size=10).map(str))
)
def test_landmarks(tmp_path: Path, text: str) -> None:
    file = tmp_path / "points.json"
    file.write_text(text, encoding="utf-8", errors="replace")
    told(lambda: ffhq_frame(parse_landmarks(str(file))))
    told(lambda: ffhq_frame(torch.tensor([[float(n) for n in (1e300, 2, 3, 4, 5, 6, 7, 8, 9, 10)]]).reshape(5, 2)))


@_MANY
@given(x=st.floats(), y=st.floats(), side=st.floats())
def test_boxes(x: float, y: float, side: float) -> None:
    told(lambda: frame_from_box(x, y, side))


_TOML = to_toml(TrainConfig(data="photos")).splitlines()


@_MANY
@given(
    line=st.integers(0, len(_TOML) - 1),
    value=st.one_of(_DEEP, _NUMBERS.map(str), _VALUES.map(json.dumps), st.text(max_size=20)),
)
def test_configurations(tmp_path: Path, line: int, value: str) -> None:
    changed = list(_TOML)
    changed[line] = f"{changed[line].split('=')[0]}= {value}"
    file = tmp_path / "c.toml"
    file.write_text("\n".join(changed), encoding="utf-8", errors="replace")
    told(lambda: from_toml(TrainConfig, file))


@pytest.mark.parametrize(
    "line",
    [
        "r1_interval = 0",
        "pl_interval = 0",
        "ada_interval = 0",
        "pl_batch_shrink = 0",
        "batch = 0",
        "batch = 10000000",
        "r1_gamma = nan",
    ],
)
def test_numbers_of_a_training_that_cannot_be(tmp_path: Path, line: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'data = "photos"\n[adversarial]\n{line}\n')
    with pytest.raises(InputError, match=line.split()[0]):
        from_toml(TrainConfig, file)


@pytest.mark.parametrize(
    "line", ["mbstd_group = 0", "z_dim = 0", "w_dim = 1000000", "channel_max = 1000000", "mapping_layers = 9999"]
)
def test_networks_that_cannot_be(tmp_path: Path, line: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'data = "photos"\n[network]\n{line}\n')
    with pytest.raises(InputError, match=line.split()[0]):
        from_toml(TrainConfig, file)


_LOOP = {"images": 8, "steps": 2, "seed": 0, "ada_p": 0.0, "moments": True}
_DOCUMENT = {"stage": 0, "loop": _LOOP, "counts": {"r1": 2}, "pictures": "abc", "fir": ["planes", "cpu"]}


def _state(folder: Path) -> Any:
    write_state(folder, {n: torch.zeros([]) for n in ("loop.pl_mean", "loop.signs", "totals.r1")}, _DOCUMENT)
    return json.loads((folder / "state.json").read_text())


@_MANY
@given(keys=st.integers(0, 30), value=_VALUES)
def test_states(tmp_path: Path, keys: int, value: object) -> None:
    index = _state(tmp_path)
    places: list[tuple[Any, Any]] = []
    waiting = [index]
    while waiting:
        inner = waiting.pop()
        places += [(inner, key) for key in (inner if isinstance(inner, dict) else range(len(inner)))]
        waiting += [item for item in (inner.values() if isinstance(inner, dict) else inner) if isinstance(item, (dict, list))]
    holder, key = places[keys % len(places)]
    holder[key] = value
    (tmp_path / "state.json").write_text(json.dumps(index))
    told(lambda: read_run(tmp_path, 1))


@_MANY
@given(text=_DEEP)
def test_states_without_end(tmp_path: Path, text: str) -> None:
    _state(tmp_path)
    (tmp_path / "state.json").write_text(text)
    told(lambda: read_run(tmp_path, 1))


def test_a_state_that_is_in_order_is_read(tmp_path: Path) -> None:
    _state(tmp_path)
    assert read_run(tmp_path, 1)[1] == _DOCUMENT


_LINE = {"px": 32, "images": 8, "steps": 2, "images_per_second": 1.0, "ada_p": 0.0, "generator": 1.0, "seconds_left": None}


@_MANY
@given(key=st.sampled_from(sorted(_LINE)), value=_VALUES, text=_DEEP)
@example(key="generator", value=None, text="")
def test_statistics(tmp_path: Path, key: str, value: object, text: str) -> None:
    folder = RunFolder(tmp_path)
    folder.statistics.write_text(f"{json.dumps(_LINE)}\n{json.dumps({**_LINE, key: value})}\n{text}\n")
    assert folder.lines()[0] == _LINE
    told(lambda: page(folder))
    told(lambda: folder.cut_lines(1))


@_MANY
@given(
    value=_VALUES, key=st.sampled_from(["sha", "why", "detail", "crops", "side", "bytes", "hashes", "sharpness"]), text=_DEEP
)
def test_journals(tmp_path: Path, value: object, key: str, text: str) -> None:
    config, sha = CropConfig(), "a" * 64
    work = tmp_path / "work"
    Journal(work, config)
    crop = {"bytes": 1, "side": 3, "sharpness": 0.5, "hashes": ["ab", "cd"]}
    entry: dict[str, Any] = {"sha": sha, "why": None, "detail": "", "crops": [crop]}
    (work / f"{sha}-0").write_bytes(b"x")
    (entry if key in entry else crop)[key] = value
    (work / "found.jsonl").write_text(f"{json.dumps(entry)}\n{text}\n")

    def read() -> None:
        journal = Journal(work, config)
        if sha in journal:
            journal.crops(sha)
            journal.why(sha)

    told(read)


@_MANY
@given(
    text=st.one_of(_DEEP, _VALUES.map(json.dumps)),
    votes=st.one_of(st.text(max_size=40), st.just("1,A\n2,B"), st.just("x" * 200_000)),
)
def test_studies(tmp_path: Path, text: str, votes: str) -> None:
    (tmp_path / KEY).write_text(text)
    (tmp_path / "votes.csv").write_text(votes, encoding="utf-8", errors="replace")
    told(lambda: count_votes(tmp_path))


@_MANY
@given(text=_JSON)
def test_reports(tmp_path: Path, text: str) -> None:
    (tmp_path / "numbers.json").write_text(text)
    told(lambda: read_point(tmp_path))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    model = Model(tiny(8), tiny_discriminator(8))
    for name in ("m.safetensors", "m.pt"):
        save_model(folder / name, model)
    torch.save(torch.load(folder / "m.pt"), folder / "old.pt", _use_new_zipfile_serialization=False)
    gaps = {"b4.const": torch.ones_like(model.generator.synthesis.b4.const).half()}
    Style("toy", "0" * 16, 8, gaps, torch.zeros(3, 8, 8, dtype=torch.uint8), {}).save(folder / "s.safetensors")
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "webp", "tif", "gif", "bmp", "jp2", "ppm"):
        Image.fromarray(pixels).save(folder / f"p.{suffix}")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(folder / f"{method}.zip", "w", method) as archive:
            for number in range(3):
                archive.write(folder / "p.png", f"{number}.png")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "old.pt", "s.safetensors"])
@_MANY
@given(edits=_EDITS)
def test_weights(tmp_path: Path, files: dict[str, bytes], name: str, edits: list[tuple[str, float, float]]) -> None:
    # Half of the changes near the start, where names, shapes and offsets are.
    edits = [(kind, where**4 if index % 2 else where, value) for index, (kind, where, value) in enumerate(edits)]
    path = tmp_path / name
    path.unlink(missing_ok=True)  # a mapped file must not change under a reader
    path.write_bytes(mutated(files[name], edits))
    for reader in (load_model, load_encoder, load_identity, inspect_file, Style.load, Regions.load):
        told(lambda reader=reader: reader(path))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "bmp", "jp2", "ppm"])
@_MANY
@given(edits=_EDITS)
def test_images(files: dict[str, bytes], suffix: str, edits: list[tuple[str, float, float]]) -> None:
    told(lambda: decode_image(mutated(files[f"p.{suffix}"], edits), Path("p")))


@pytest.mark.parametrize("method", [0, 8, 12, 14])
@_MANY
@given(edits=_EDITS)
def test_zips(tmp_path: Path, files: dict[str, bytes], method: int, edits: list[tuple[str, float, float]]) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(mutated(files[f"{method}.zip"], edits))
    told(lambda: list(read_images(path)))


def test_a_damaged_member_is_named_and_the_others_are_read(tmp_path: Path, files: dict[str, bytes]) -> None:
    for method in (8, 12, 14):
        data = bytearray(files[f"{method}.zip"])
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            second = archive.getinfo("1.png")
        data[second.header_offset + 60 : second.header_offset + 90] = bytes(30)
        path = tmp_path / "a.zip"
        path.write_bytes(data)
        found = dict(read_images(path))
        assert isinstance(found["1.png"], str)
        assert "cannot be unpacked" in found["1.png"]
        assert isinstance(found["0.png"], bytes)
        assert found["0.png"] == found["2.png"]
