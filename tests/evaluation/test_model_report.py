"""The report on a model: its numbers against direct computation, resuming, its files, its verb. With tiny random networks."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mien.checkpoint.model_file import write_model
from mien.cli.app import shell
from mien.errors import InputError
from mien.evaluation.config import QUICK, ReportConfig
from mien.evaluation.model_report import parts, report_sheets
from mien.evaluation.model_report.curve import Point, curve, read_point
from mien.evaluation.model_report.parts import Instruments, Inversion, judge, pixels_of, yardsticks
from mien.evaluation.model_report.report import ModelReport, measure_model
from mien.evaluation.model_report.report_text import SHOWS_DATA, write_report
from mien.evaluation.model_report.workspace import Workspace, pixels_digest
from mien.latents import Codes, broadcast, truncate
from mien.losses.extractors import FeatureExtractor
from mien.media.eight_bit import from_uint8, to_uint8
from mien.media.image_dataset import Dataset
from mien.metrics.distances import cosine_statistics, frechet_distance, kernel_distance
from mien.metrics.perceptual import identity_features
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.mobilefacenet import MobileFaceNet
from mien.models.model import Model, Provenance
from mien.models.sampling import map_latents, random_latents

_CONFIG = ReportConfig(samples=5, psis=(0.5,), seed=3, batch=4)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(5)
    generator = Generator(GeneratorConfig(16, z_dim=16, w_dim=16, mapping_layers=2, channel_base=256, channel_max=16))
    generator.mapping.w_avg.normal_()
    return Model(generator.eval().requires_grad_(False), provenance=Provenance(name="tiny", images_seen=7))


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    torch.manual_seed(6)
    filters, identity = torch.randn(24, 3, 5, 5), MobileFaceNet().eval().requires_grad_(False)
    features = FeatureExtractor("filters", 32, lambda images: [F.conv2d(images, filters).relu()])
    return Instruments(features, identity, {"filters": "f", "MobileFaceNet": "i"})


def _images(count: int, seed: int) -> Dataset:
    random = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=random)
    pixels = torch.nn.functional.interpolate(small, (16, 16), mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)
    return Dataset(pixels, torch.ones(count), [f"{i}.png" for i in range(count)])


def _render_plainly(model: Model, z: Tensor, psi: float) -> Tensor:
    generator = model.generator
    w = truncate(generator.mapping(z), generator.mapping.w_avg, psi)
    return to_uint8(generator(broadcast(w, generator.num_ws), generator.synthesis.noise("const")))


def test_distances_truncation_and_diversity_are_those_of_the_images(model: Model, instruments: Instruments) -> None:
    data = _images(11, 1)
    numbers = measure_model(model, instruments, _CONFIG, data=data).numbers
    z = random_latents(model.generator, 5, 3)
    assert torch.equal(z, random_latents(model.generator, 9, 3)[:5])
    order = torch.randperm(11, generator=torch.Generator().manual_seed(3))
    assert instruments.features is not None
    assert instruments.identity is not None
    half_a, half_b = (instruments.features.vectors(from_uint8(data.pixels[index])) for index in (order[:5], order[5:10]))
    assert numbers["distribution"]["count"] == 5
    floor = numbers["distribution"]["half_b_vs_half_a"]
    assert floor["fd"] == pytest.approx(frechet_distance(half_b, half_a), rel=1e-3)
    assert [entry["psi"] for entry in numbers["truncation"]] == [0.5, 0.7, 1.0]
    for entry in numbers["truncation"]:
        images = _render_plainly(model, z, entry["psi"])
        features = instruments.features.vectors(from_uint8(images))
        assert entry["fd"] == pytest.approx(frechet_distance(features, half_a), rel=1e-3)
        assert entry["kd"] == pytest.approx(kernel_distance(features, half_a), rel=1e-2, abs=1e-6)
        alike = cosine_statistics(identity_features(instruments.identity, images))
        assert entry["identity"]["mean"] == pytest.approx(alike.mean, rel=1e-3)
    assert numbers["distribution"]["samples_vs_half_a"]["fd"] == numbers["truncation"][2]["fd"]
    real = cosine_statistics(identity_features(instruments.identity, data.pixels[order[:5]]))
    assert numbers["diversity"]["training_half_a"]["mean"] == pytest.approx(real.mean, rel=1e-3)
    assert numbers["model"]["images_seen"] == 7
    assert numbers["networks"] == {"filters": "f", "MobileFaceNet": "i"}


def test_a_copy_of_a_training_face_is_found(model: Model, instruments: Instruments) -> None:
    data = _images(10, 2)
    # The third sample becomes a training image of half A.
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    copied = _render_plainly(model, random_latents(model.generator, 5, 3)[2:3], 1.0)[0]
    data.pixels[order[1]] = copied
    made = measure_model(model, instruments, _CONFIG, data=data)
    assert made.numbers["nearest"]["samples_psi_1_to_half_a"]["largest"] == pytest.approx(1.0, abs=1e-4)
    honest = measure_model(model, instruments, _CONFIG, data=_images(10, 2))
    assert honest.numbers["nearest"]["samples_psi_1_to_half_a"]["largest"] < 0.999
    assert set(made.sheets) >= {"nearest", "nearest-most-alike"}
    assert made.sheets["nearest"].shape != made.sheets["truncation"].shape


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(
    model: Model, instruments: Instruments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _images(10, 1)
    whole = measure_model(model, instruments, _CONFIG, data=data).numbers
    workspace, calls = Workspace(tmp_path / "work"), []
    real_describe = parts.describe

    def stopping(pixels: Tensor, networks: Instruments) -> dict[str, Tensor]:
        calls.append(len(pixels))
        if len(calls) == 6:  # 3 batches of training images, 2 of each truncation
            raise KeyboardInterrupt
        return real_describe(pixels, networks)

    monkeypatch.setattr(parts, "describe", stopping)
    with pytest.raises(KeyboardInterrupt):
        measure_model(model, instruments, _CONFIG, data=data, workspace=workspace)
    assert len(list((tmp_path / "work").iterdir())) == 2
    again = measure_model(model, instruments, _CONFIG, data=data, workspace=workspace).numbers
    assert len(calls) == 6 + 4
    for part in ("distribution", "truncation", "diversity", "nearest"):
        assert again[part] == whole[part]
    # With everything kept, no image is described again; another seed is another measurement.
    measure_model(model, instruments, _CONFIG, data=data, workspace=workspace)
    assert len(calls) == 10
    measure_model(model, instruments, replace(_CONFIG, seed=4), data=data, workspace=workspace)
    assert len(calls) == 19


def test_inversion_is_judged_by_what_it_renders(model: Model, instruments: Instruments) -> None:
    codes = map_latents(model.generator, random_latents(model.generator, 6, 8), 1.0)
    photos = Dataset(pixels_of(model, codes), torch.ones(6), [str(i) for i in range(6)])
    asked: list[int] = []

    def mean(images: Tensor) -> Codes:
        return Codes(broadcast(model.generator.mapping.w_avg[None].expand(len(images), -1), model.generator.num_ws))

    def perfect(images: Tensor, start: Codes) -> Codes:
        asked.append(len(images))
        assert torch.equal(start.w_plus, mean(images).w_plus)
        known = photos.pixels.float() / 127.5 - 1
        return Codes(torch.stack([codes[int((known - p).abs().mean((1, 2, 3)).argmin())] for p in images]))

    inversion = Inversion(mean, "mean code", perfect, refine_steps=9)
    made = measure_model(model, instruments, _CONFIG, held_out=photos, inversion=inversion)
    numbers = made.numbers["inversion"]
    assert numbers["refined"]["identity"] == pytest.approx(1.0, abs=1e-4)
    assert numbers["refined"]["l1"] == pytest.approx(0.0, abs=1e-6)
    assert numbers["refined"]["perceptual"] == pytest.approx(0.0, abs=1e-5)
    assert numbers["start"]["l1"] > 0.01
    assert numbers["start"]["identity"] < 0.9999
    assert numbers["start"]["perceptual"] > 1e-4
    assert numbers["start_from"] == "mean code"
    assert numbers["refine_steps"] == 9
    assert 0 <= numbers["refined"]["seconds_alone"] < 60
    assert asked == [4, 1, 2]  # the first batch, one photo by itself, the rest
    assert {"inversion", "inversion-worst"} <= set(made.sheets)
    # Fewer photos, and no refinement.
    few = measure_model(
        model, instruments, replace(_CONFIG, held_out=2), held_out=photos, inversion=replace(inversion, refine=None)
    )
    assert few.numbers["inversion"]["count"] == 2
    assert "refined" not in few.numbers["inversion"]


def test_verdicts_and_yardsticks(instruments: Instruments) -> None:
    pixels = _images(3, 4).pixels
    same = judge(pixels, pixels, instruments, batch=2).summary()
    assert same["l1"] == 0.0
    assert same["identity_min"] == pytest.approx(1.0, abs=1e-5)
    assert same["identity_share_from_0.6"] == 1.0
    lighter = judge(pixels, pixels.clamp(max=245) + 10, Instruments()).summary()
    assert lighter["l1"] == pytest.approx(10 / 127.5, rel=0.05)
    assert set(lighter) == {"l1"}
    big = torch.nn.functional.interpolate(pixels.float(), (64, 64)).to(torch.uint8)
    found = yardsticks(big, instruments)
    assert found["reduced_to_32px"]["l1"] < found["another_person"]["l1"]
    assert found["another_person"]["l1"] == pytest.approx(judge(big, big.roll(1, 0), Instruments()).summary()["l1"])


def test_what_cannot_be_measured_is_left_out(model: Model, instruments: Instruments) -> None:
    bare = measure_model(model, Instruments(), _CONFIG, data=_images(8, 1), held_out=_images(3, 2))
    assert set(bare.sheets) == {"samples-psi-0.7", "samples-psi-1", "truncation", "style-mixing", "interpolation"}
    assert not {"distribution", "truncation", "diversity", "nearest", "inversion"} & set(bare.numbers)
    no_data = measure_model(model, instruments, _CONFIG)
    assert "fd" not in no_data.numbers["truncation"][0]
    assert no_data.numbers["truncation"][0]["identity"]["count"] == 5
    no_faces = measure_model(model, replace(instruments, identity=None), _CONFIG, data=_images(8, 1))
    assert no_faces.numbers["distribution"]["count"] == 4
    assert "nearest" not in no_faces.numbers
    with pytest.raises(InputError, match="at least 4"):
        measure_model(model, instruments, _CONFIG, data=_images(3, 1))
    wrong = _images(8, 1)
    wrong.pixels = wrong.pixels[:, :, :8, :8]
    with pytest.raises(ValueError, match="8 px, the model has 16 px"):
        measure_model(model, instruments, _CONFIG, data=wrong)
    with pytest.raises(InputError, match="samples"):
        ReportConfig(samples=1)


def test_progress_runs_from_start_to_end(model: Model, instruments: Instruments) -> None:
    seen: list[tuple[int, int]] = []
    inversion = Inversion(
        lambda p: Codes(map_latents(model.generator, torch.zeros(len(p), 16), 1.0)), refine=lambda _, c: c, refine_steps=2
    )
    measure_model(
        model, instruments, _CONFIG, data=_images(10, 1), held_out=_images(5, 2), inversion=inversion,
        progress=lambda done, total, _: seen.append((done, total)),
    )  # fmt: skip
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1


# --- sheets ---


def test_sheets_show_the_model(model: Model) -> None:
    z = random_latents(model.generator, 64, 0)
    cell = 64  # images of 16 px are shown at 64
    samples = report_sheets.sample_sheet(model, z, 0.7)
    assert samples.shape == (3, 8 * cell, 8 * cell)
    steps = report_sheets.interpolation_sheet(model, z[:4], 0.7, steps=5)
    assert steps.shape == (3, 2 * cell, 5 * cell)
    # The ends of an interpolation are the samples themselves, and its middle is neither.
    assert torch.equal(steps[:, :cell, :cell], samples[:, :cell, :cell])
    assert torch.equal(steps[:, :cell, -cell:], samples[:, :cell, cell : 2 * cell])
    assert torch.equal(steps[:, cell:, :cell], samples[:, :cell, 2 * cell : 3 * cell])
    assert not torch.equal(steps[:, :cell, 2 * cell : 3 * cell], steps[:, :cell, :cell])
    mean = report_sheets.truncation_sheet(model, z[:2], [0.0, 1.0])[:, :, -2 * (cell + 2) :]
    first, second = (mean[:, 2 : 2 + cell, i * (cell + 2) : i * (cell + 2) + cell] for i in range(2))
    assert torch.equal(first, second)


def test_style_mixing_takes_the_named_rows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def spy(model: Model, codes: Tensor, batch: int = 16) -> Tensor:
        seen.append(codes)
        return pixels_of(model, codes, batch)

    monkeypatch.setattr(report_sheets, "pixels_of", spy)
    z = random_latents(model.generator, 12, 0)
    report_sheets.mixing_sheet(model, z, 1.0, sources=3)
    codes = map_latents(model.generator, z, 1.0)
    givers, *rows = seen
    assert torch.equal(givers, codes[:3])
    # 16 px: rows 0 to 5; the bands are rows 0-2 and 3-5, two takers each.
    bands = [(0, 3), (0, 3), (3, 7), (3, 7)]
    assert len(rows) == len(bands)
    for index, (row, (start, stop)) in enumerate(zip(rows, bands, strict=True)):
        taker = codes[3 + index]
        assert torch.equal(row[0], taker)
        for giver, mixed in zip(givers, row[1:], strict=True):
            assert torch.equal(mixed[start:stop], giver[start:stop])
            assert torch.equal(mixed[:start], taker[:start])
            assert torch.equal(mixed[stop:], taker[stop:])


# --- files ---


def test_workspace_keeps_by_settings(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict[str, Tensor]:
        calls.append(1)
        return {"a": torch.arange(3), "b": torch.full((2, 2), len(calls) / 2)}

    workspace = Workspace(tmp_path / "deep" / "work")
    first = workspace.kept("x", {"seed": 1}, make)
    again = Workspace(tmp_path / "deep" / "work").kept("x", {"seed": 1}, make)
    assert len(calls) == 1
    assert all(torch.equal(first[k], again[k]) for k in ("a", "b"))
    workspace.kept("x", {"seed": 2}, make)
    workspace.kept("y", {"seed": 1}, make)
    assert len(calls) == 3
    Workspace(None).kept("x", {"seed": 1}, make)
    assert len(calls) == 4

    def failing() -> dict[str, Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.kept("z", {}, failing)
    assert len(list(tmp_path.rglob("*.npz"))) == 3
    next(tmp_path.rglob("y-*.npz")).write_bytes(b"no array at all")
    with pytest.raises(InputError, match="delete it"):
        workspace.kept("y", {"seed": 1}, make)


def test_pixels_digest_follows_the_images() -> None:
    pixels = _images(70, 1).pixels
    other = pixels.clone()
    other[69, 2, 15, 15] += 1
    assert pixels_digest(pixels) == pixels_digest(pixels.clone())
    assert len({pixels_digest(p) for p in (pixels, other, pixels[:69], pixels.reshape(35, 6, 16, 16))}) == 4


def _report(model: Model, instruments: Instruments) -> ModelReport:
    inversion = Inversion(lambda p: Codes(map_latents(model.generator, torch.zeros(len(p), 16), 1.0)), "mean code")
    return measure_model(
        model, instruments, _CONFIG, data=_images(10, 1), held_out=_images(3, 2), inversion=inversion
    )  # fmt: skip


def test_written_reports_hold_the_numbers(model: Model, instruments: Instruments, tmp_path: Path) -> None:
    report = _report(model, instruments)
    files = write_report(report, tmp_path / "card")
    assert {f.name for f in files} == {"numbers.json", "numbers.md", *(f"{name}.png" for name in report.sheets)}
    assert set(SHOWS_DATA) <= set(report.sheets)
    stored: dict[str, Any] = json.loads((tmp_path / "card" / "numbers.json").read_text(encoding="utf-8"))
    assert stored["distribution"] == report.numbers["distribution"]
    assert stored["inversion"]["start"]["l1"] == report.numbers["inversion"]["start"]["l1"]
    text = (tmp_path / "card" / "numbers.md").read_text(encoding="utf-8")
    for number in (
        f"{report.numbers['distribution']['samples_vs_half_a']['fd']:.2f}",
        f"{1000 * report.numbers['distribution']['half_b_vs_half_a']['kd']:.2f}",
        f"{report.numbers['inversion']['start']['l1']:.3f}",
        f"{report.numbers['nearest']['samples_psi_0.7_to_half_a']['largest']:.3f}",
        f"{report.numbers['diversity']['training_half_b']['mean']:.3f}",
    ):
        assert f"| {number} |" in text
    # Every table is rectangular.
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.MULTILINE):
        assert len({line.count("|") for line in block.strip().split("\n")}) == 1
    with Image.open(tmp_path / "card" / "samples-psi-0.7.png") as image:
        assert image.size == (512, 512)


def test_reports_are_not_overwritten_silently(model: Model, tmp_path: Path) -> None:
    report = measure_model(model, Instruments(), _CONFIG)
    write_report(report, tmp_path)
    with pytest.raises(InputError, match="`overwrite`"):
        write_report(report, tmp_path)
    report.numbers["data"] = "changed"
    write_report(report, tmp_path, overwrite=True)
    assert json.loads((tmp_path / "numbers.json").read_text())["data"] == "changed"
    with pytest.raises(InputError, match="is a file"):
        write_report(report, tmp_path / "numbers.json")


# --- quality against training time ---


def _point(images: int, distance: float, hours: float | None = None, count: int = 5) -> Point:
    return Point(hours, images, 16, count, distance, "filters", 2.0)


def test_curve_orders_snapshots_and_draws_them() -> None:
    document, chart = curve([_point(3000, 4.0), _point(1000, 9.0), _point(2000, 6.0)])
    assert [p["images_seen"] for p in document["points"]] == [1000, 2000, 3000]
    assert "thousands" in document["axis"]
    assert chart.shape[0] == 3
    assert not torch.equal(chart, curve([_point(3000, 5.0), _point(1000, 9.0), _point(2000, 6.0)])[1])
    # The line falls from left to right: blue pixels are higher up at the start than at the end.
    blue = (chart[2] > 0.2) & (chart[0] < -0.5)
    columns = blue.any(0).nonzero()[:, 0]
    rows = [float(blue[:, c].nonzero()[:, 0].float().mean()) for c in (columns[0], columns[-1])]
    assert rows[0] < rows[1]
    by_hours, _ = curve([_point(1, 1.0, hours=2.0), _point(2, 1.0, hours=1.0)])
    assert [p["hours"] for p in by_hours["points"]] == [1.0, 2.0]
    with pytest.raises(InputError, match="different feature extractors"):
        curve([_point(1, 1.0), replace(_point(2, 1.0), features="others")])
    with pytest.raises(InputError, match="5, 7 images"):
        curve([_point(1, 1.0), _point(2, 1.0, count=7)])


@pytest.mark.slow
def test_points_come_from_reports(model: Model, instruments: Instruments, tmp_path: Path) -> None:
    report = _report(model, instruments)
    report.numbers["hours"] = 1.5
    write_report(report, tmp_path / "old")
    point = read_point(tmp_path / "old")
    found = report.numbers["distribution"]
    assert point == Point(1.5, 7, 16, 5, found["samples_vs_half_a"]["fd"], "filters", found["half_b_vs_half_a"]["fd"])
    report.numbers["curve"], report.sheets["curve"] = curve([point, replace(point, hours=3.0, fd=123.456)])
    write_report(report, tmp_path / "new")
    assert "| 3.0 | 7 | 16 px | 123.46 |" in (tmp_path / "new" / "numbers.md").read_text()
    assert (tmp_path / "new" / "curve.png").exists()
    with pytest.raises(InputError, match=r"numbers\.json"):
        read_point(tmp_path / "absent")
    bare = measure_model(model, Instruments(), _CONFIG)
    write_report(bare, tmp_path / "bare")
    with pytest.raises(InputError, match="no distances"):
        read_point(tmp_path / "bare")


# --- the verb ---


@pytest.mark.slow
def test_report_verb(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "tiny.safetensors", model)
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        pixels = np.full((20, 20, 3), 60 * index, np.uint8)
        Image.fromarray(pixels).save(photos / f"{index}.png")
    out = tmp_path / "card"
    command = ["report", str(tmp_path / "tiny.safetensors"), "-o", str(out), "--held-out", str(photos), "--quick", "--json"]
    assert shell([*command, "--refine", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert {Path(w["out"]).name for w in told["written"]} >= {
        "numbers.json",
        "numbers.md",
        "inversion.png",
        "samples-psi-1.png",
    }
    assert told["numbers"]["inversion"]["start_from"] == "mean code"
    assert told["numbers"]["inversion"]["refine_steps"] == 2
    assert told["numbers"]["inversion"]["refined"]["l1"] < told["numbers"]["inversion"]["start"]["l1"]
    assert told["numbers"]["config"]["samples"] == QUICK.samples
    assert any("think before you publish" in note for note in told["warnings"])
    assert list((out / "work").glob("inverted-0-*.npz"))

    assert shell([*command, "--refine", "2"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (
        shell(
            [
                *command,
                "--refine",
                "0",
                "--overwrite",
                "--samples",
                "7",
                "--hours",
                "2.5",
                "--seed",
                "9",
                "--work",
                str(tmp_path / "w"),
            ]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["numbers"]["config"]["samples"] == 7
    assert told["numbers"]["config"]["seed"] == 9
    assert told["numbers"]["hours"] == 2.5
    assert "refined" not in told["numbers"]["inversion"]
    assert list((tmp_path / "w").glob("*.npz"))


def test_report_verb_starts_from_the_encoder_where_there_is_one(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CompactEncoderConfig(16, num_ws=6, w_dim=16, width=8, max_width=8, iterations=2)
    write_model(tmp_path / "tiny.safetensors", replace(model, encoder=CompactEncoder(config)))
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "photos" / "gray.png")
    command = ["report", str(tmp_path / "tiny.safetensors"), "-o", str(tmp_path / "card"), "--refine", "0", "--json"]
    assert shell([*command, "--held-out", str(tmp_path / "photos")]) == 0
    numbers = json.loads(capsys.readouterr().out)["numbers"]
    assert numbers["inversion"]["start_from"] == "encoder"
    assert numbers["inversion"]["count"] == 1
    assert set(numbers["model"]["parameters"]) == {"generator", "encoder"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--refine", "-1"], "--refine"),
        (["--samples", "1"], "--samples"),
        (["--features", "absent.tflite"], "--features"),
        (["--identity", "{model}"], "MobileFaceNet"),
        (["--data", "absent.zip"], "absent.zip"),
        (["--earlier", "absent"], "numbers.json"),
    ],
)
def test_report_verb_refuses_with_a_sentence(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    path = tmp_path / "tiny.safetensors"
    write_model(path, model)
    flags = [flag.format(model=path) for flag in flags]
    assert shell(["report", str(path), "-o", str(tmp_path / "card"), *flags]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "card" / "numbers.json").exists()
