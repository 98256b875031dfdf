"""Evaluation: every measure against what it says, other methods' folders, the files, the verb. With tiny random networks."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mien.checkpoint import feature_network
from mien.checkpoint.feature_network import has_feature_network
from mien.checkpoint.model_file import write_model
from mien.cli.app import shell
from mien.errors import InputError
from mien.evaluation.config import EvaluateConfig
from mien.evaluation.evaluate import NO_STYLE, evaluate, open_features, open_instruments
from mien.evaluation.evaluation_text import page, write_evaluation
from mien.evaluation.measures import Candidate, measure
from mien.evaluation.outputs import SIDE, PhotoFace, read_faces, read_outputs
from mien.faces.align import CropFrame
from mien.faces.config import AlignConfig
from mien.losses.extractors import FeatureExtractor, discriminator_extractor, mean_directions
from mien.metrics.distances import frechet_distance, kernel_distance
from mien.metrics.perceptual import style_distance
from mien.metrics.spaces import (
    IdentityMetric,
    MetricNetworks,
    identity_metric,
)
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.mobilefacenet import MobileFaceNet
from mien.models.model import Model, Provenance
from mien.oneshot.config import OneShotConfig
from mien.ops.resample import resize
from mien.pipeline import Stylizer
from mien.render_config import RenderConfig
from mien.styles import Style

_SIDE = 64


def _smooth(count: int, seed: int, size: int = 64) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 3, 5, 5, generator=random) * 2 - 1, (size, size), mode="bicubic").clamp(-1, 1)


def _save(path: Path, image: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(path)
    return path


@pytest.fixture(scope="module")
def instruments() -> MetricNetworks:
    """Cheap ones that see something: random filters, and the means of a 4 x 4 grid."""
    filters = torch.randn(12, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    looks = FeatureExtractor(
        "filters", 32, lambda p: [F.conv2d(p, filters).relu(), F.conv2d(F.avg_pool2d(p, 2), filters).relu()]
    )
    return MetricNetworks(
        looks, IdentityMetric("grid", lambda p: F.adaptive_avg_pool2d(p, 4).flatten(1) - p.mean((1, 2, 3))[:, None])
    )


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    torch.manual_seed(1)
    generator = Generator(GeneratorConfig(_SIDE, z_dim=16, w_dim=128, mapping_layers=2, channel_base=512, channel_max=16))
    discriminator = Discriminator(DiscriminatorConfig(_SIDE, channel_base=512, channel_max=16))
    encoder = CompactEncoder(CompactEncoderConfig(_SIDE, generator.num_ws, 128, width=8, max_width=16))
    return Stylizer(Model(generator, discriminator, encoder, Provenance("tiny", "CC0", "random weights")))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three square photos and a reference, and the place to be."""
    for name, image in zip("abc", _smooth(3, 1, 80), strict=True):
        _save(tmp_path / "photos" / f"{name}.png", image)
    _save(tmp_path / "reference.png", _smooth(1, 2, 80)[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _photos(desk: Path) -> list[Path]:
    return sorted((desk / "photos").glob("*.png"))


@pytest.fixture
def style(desk: Path, stylizer: Stylizer) -> Style:
    config = OneShotConfig(steps=2, learning_rate=0.1, random_from="16px")
    return stylizer.fit(["reference.png"], config, align=AlignConfig(aligned=True), name="mine")


# --- the measures ---


def _naive_style_distance(space: FeatureExtractor, one: Tensor, other: Tensor) -> float:
    distances = []
    for a, b in zip(space.maps(resize(one[None], space.size)), space.maps(resize(other[None], space.size)), strict=True):
        grams = []
        for m in (a[0], b[0]):
            gram = torch.zeros(m.shape[0], m.shape[0], dtype=torch.float64)
            for y in range(m.shape[1]):
                for x in range(m.shape[2]):
                    unit = m[:, y, x].double() / max(float(m[:, y, x].norm()), 1e-12)
                    gram += torch.outer(unit, unit) / (m.shape[1] * m.shape[2])
            grams.append(gram)
        distances.append(float((grams[0] - grams[1]).norm() / (grams[0].square().sum() + grams[1].square().sum()).sqrt()))
    return sum(distances) / len(distances)


def test_style_distance_is_that_of_gram_matrices(instruments: MetricNetworks) -> None:
    images, reference = _smooth(3, 3), _smooth(1, 4)
    found = style_distance(instruments.looks, images, reference)
    assert found.tolist() == pytest.approx(
        [_naive_style_distance(instruments.looks, p, reference[0]) for p in images], rel=1e-4
    )
    assert style_distance(instruments.looks, reference, reference).tolist() == [0.0]
    # Where something is does not matter, and of several references the mean counts.
    tile = _smooth(1, 5, 16).repeat(1, 1, 4, 4)
    whole = FeatureExtractor("pixels", 64, lambda p: [p])
    assert float(style_distance(whole, tile.roll((7, 3), (2, 3)), tile)) < 1e-3
    between = style_distance(instruments.looks, images[:1], torch.cat([images[:1], reference]))
    assert 0 < float(between) < float(found[0])


def test_every_layer_of_a_discriminator_counts_and_vectors_have_their_scale() -> None:
    discriminator = Discriminator(DiscriminatorConfig(32, channel_base=256, channel_max=16)).eval()
    space = discriminator_extractor(discriminator, "w")
    assert (space.size, space.weights) == (32, "w")
    assert [m.shape[-1] for m in space.maps(_smooth(1, 0, 32))] == [32, 16, 8, 4]
    vectors = space.vectors(_smooth(9, 0))
    assert vectors.shape == (9, sum(m.shape[1] for m in space.maps(_smooth(1, 0, 32))))
    assert torch.allclose(vectors[4:5], space.vectors(_smooth(9, 0)[4:5]), atol=1e-5)
    one = torch.tensor([[[[3.0]], [[0.0]], [[4.0]], [[0.0]]]])
    assert torch.allclose(mean_directions([one]), torch.tensor([[1.2, 0.0, 1.6, 0.0]]))


def test_identity_does_not_look_at_color() -> None:
    torch.manual_seed(3)
    judge = identity_metric(MobileFaceNet().eval(), "MobileFaceNet")
    image = _smooth(1, 0)
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(judge.vectors(image), judge.vectors(luma), atol=1e-4)


def test_the_copy_keeps_all_and_the_collapse_nothing(instruments: MetricNetworks) -> None:
    photos, reference = _smooth(4, 6), _smooth(1, 7)
    copy = Candidate("copy", range(4), photos, reference, [1.0, 2.0, 3.0, 4.0])
    collapse = Candidate("collapse", range(4), reference.expand(4, -1, -1, -1), reference)
    found = measure(list("abcd"), photos, [copy, collapse], instruments).numbers["methods"]
    same, gone = found["copy"], found["collapse"]
    assert same["identity"]["mean"] == pytest.approx(1.0, abs=1e-5)
    assert same["recognized"]["mean"] == 1.0
    assert same["people_apart"]["mean"] == same["looks_apart"]["mean"] == pytest.approx(1.0)
    assert same["style_taken"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert same["gaze"]["mean"] == same["mouth"]["mean"] == 0.0
    assert same["like_reference"] == same["photo_like_reference"]
    assert same["seconds"] == {"mean": 2.5, "spread": pytest.approx(1.25**0.5)}
    assert gone["style_distance"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert gone["style_taken"]["mean"] == pytest.approx(1.0)
    assert gone["people_apart"]["mean"] == pytest.approx(0.0, abs=1e-3)
    assert gone["looks_apart"]["mean"] == pytest.approx(0.0, abs=1e-3)
    assert gone["like_reference"]["mean"] == pytest.approx(1.0, abs=1e-5)
    assert gone["recognized"]["mean"] == 0.25  # all are likest to the same photo
    assert gone["gaze"] == gone["gaze_of_reference"]
    assert gone["mouth"] == gone["mouth_of_reference"]
    assert "seconds" not in gone
    assert [gone["each"][n]["identity"] for n in "abcd"] == pytest.approx(
        [float(v) for v in instruments.identity.vectors(photos) @ instruments.identity.vectors(reference)[0]], abs=1e-5
    )


def test_methods_are_judged_on_the_photos_that_they_have(instruments: MetricNetworks) -> None:
    photos = _smooth(4, 6)
    some = Candidate("some", [3, 1], photos[[3, 1]])
    found = measure(list("abcd"), photos, [some, Candidate("one", [2], photos[[2]])], instruments)
    method = found.numbers["methods"]["some"]
    assert list(method["each"]) == ["d", "b"]
    assert method["recognized"]["mean"] == 1.0
    assert method["people_apart"]["mean"] == pytest.approx(1.0)
    assert not {"style_distance", "like_reference", "gaze_of_reference"} & set(method)
    assert "people_apart" not in found.numbers["methods"]["one"]
    assert "" in page(found.numbers, [])


def test_sets_are_compared_by_frechet_and_kernel_distance(instruments: MetricNetworks) -> None:
    photos, own = _smooth(4, 6), _smooth(7, 8)
    made = _smooth(4, 9)
    numbers = measure(list("abcd"), photos, [Candidate("m", range(4), made)], instruments, own).numbers
    a, b = instruments.looks.vectors(made), instruments.looks.vectors(own)
    assert numbers["methods"]["m"]["set"] == {
        "frechet": frechet_distance(a, b),
        "kernel": kernel_distance(a, b),
        "counts": [4, 7],
    }
    assert numbers["set"]["photos"]["frechet"] == frechet_distance(instruments.looks.vectors(photos), b)
    assert numbers["set"]["halves"]["counts"] == [3, 4]
    text = page(numbers, [])
    assert "FD-filters" in text
    assert "the floor" in text


# --- other methods' images ---


def _face(width: int, height: int, frame: CropFrame, name: str = "a.jpg") -> PhotoFace:
    return PhotoFace(Path(name), width, height, frame, {SIDE: torch.zeros(3, SIDE, SIDE)}, 0.0)


def test_whole_photos_are_cut_where_the_face_is_and_crops_are_taken_whole(tmp_path: Path) -> None:
    photo = torch.full((3, 60, 100), -1.0)
    photo[:, 10:30, 50:70] = 1.0  # the face
    face = _face(100, 60, CropFrame((60.0, 20.0), 20.0))
    large = F.interpolate(photo[None], (120, 200), mode="nearest")[0]
    for name, image in (("same", photo), ("large", large), ("crop", torch.ones(3, 40, 40))):
        _save(tmp_path / name / "a.png", image)
        found = read_outputs(name, tmp_path / name, [face]).images[0]
        assert found.shape == (3, SIDE, SIDE)
        assert float(found[:, 20:-20, 20:-20].min()) > 0.8
    with pytest.raises(InputError, match="neither the proportions"):
        read_outputs("crop", tmp_path / "crop", [face], "photos")
    with pytest.raises(InputError, match="neither the proportions"):
        read_outputs("same", tmp_path / "same", [face], "crops")


def test_square_photos_need_a_word(tmp_path: Path) -> None:
    image = torch.full((3, 80, 80), -1.0)
    image[:, 20:60, 20:60] = 1.0
    _save(tmp_path / "out" / "a.png", image)
    face = _face(80, 80, CropFrame((40.0, 40.0), 40.0))
    with pytest.raises(InputError, match="outputs_are"):
        read_outputs("out", tmp_path / "out", [face])
    assert float(read_outputs("out", tmp_path / "out", [face], "photos").images[0][:, 30:-30, 30:-30].min()) > 0.8
    assert float(read_outputs("out", tmp_path / "out", [face], "crops").images[0].min()) < -0.9
    # A crop already: both are the same.
    assert read_outputs("out", tmp_path / "out", [_face(80, 80, CropFrame((40.0, 40.0), 80.0))]).images


def test_what_does_not_match_is_named(tmp_path: Path) -> None:
    faces = [_face(80, 80, CropFrame((40.0, 40.0), 80.0), f"{n}.jpg") for n in "abc"]
    _save(tmp_path / "out" / "a.png", _smooth(1, 0)[0])
    _save(tmp_path / "out" / "x.png", _smooth(1, 0)[0])
    (tmp_path / "out" / "b.png").write_bytes(b"no image")
    found = read_outputs("they", tmp_path / "out", faces)
    assert list(found.images) == [0]
    assert found.missing == ["c"]
    assert found.extra == ["x.png"]
    assert list(found.unusable) == ["b.png"]
    notes = " ".join(found.notes("they"))
    assert all(part in notes for part in ("no image of c", "x.png", "b.png is not an image"))
    with pytest.raises(InputError, match="belongs to one of the photos"):
        read_outputs("they", tmp_path / "out", faces[2:])
    _save(tmp_path / "out" / "a.jpg", _smooth(1, 0)[0])
    with pytest.raises(InputError, match="two images called 'a'"):
        read_outputs("they", tmp_path / "out", faces)


@pytest.mark.slow
def test_photos_that_cannot_be_used_fail_alone(desk: Path) -> None:
    (desk / "photos" / "d.png").write_bytes(b"no image")
    faces, failed = read_faces(_photos(desk), aligned=True)
    assert [f.path.stem for f in faces] == ["a", "b", "c"]
    assert list(failed) == [str(desk / "photos" / "d.png")]
    with pytest.raises(InputError, match="None of the 1 photos"):
        read_faces([desk / "photos" / "d.png"])
    with pytest.raises(InputError, match="No face was found"):  # noise is no face
        read_faces([desk / "photos" / "a.png"])
    _save(desk / "photos" / "a.jpg", _smooth(1, 0)[0])
    with pytest.raises(InputError, match="Two photos are called 'a'"):
        read_faces(sorted((desk / "photos").glob("a.*")))


# --- all of it ---


@pytest.mark.slow
def test_styles_are_drawn_as_apply_draws_them(
    desk: Path, stylizer: Stylizer, style: Style, instruments: MetricNetworks
) -> None:
    render = RenderConfig(strength=0.8, fidelity=0.5, refine_steps=2)
    config = EvaluateConfig(render, aligned=True)
    found = evaluate(_photos(desk), instruments, config, stylizer=stylizer, styles={"mine": style})
    wanted = [stylizer.apply(style, path, render, align=AlignConfig(aligned=True)).faces[0] for path in _photos(desk)]
    faces, _ = read_faces(_photos(desk), aligned=True)
    photos = torch.stack([face.crops[SIDE] for face in faces])
    by_hand = measure(
        list("abc"), photos,
        [
            Candidate(NO_STYLE, range(3), torch.stack([w.inversion for w in wanted])),
            Candidate("mine", range(3), torch.stack([w.stylized for w in wanted]), style.references()),
        ],
        instruments,
    ).numbers["methods"]  # fmt: skip
    for name, method in by_hand.items():
        for key, value in method.items():
            if key not in ("each", "seconds"):
                assert found.numbers["methods"][name][key] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, key)
    assert found.numbers["methods"]["mine"]["seconds"]["mean"] > 0
    assert found.numbers["settings"]["render"]["strength"] == 0.8
    # Other settings, other images.
    for other in (replace(render, strength=0.1), replace(render, fidelity=1.0), replace(render, refine_steps=0)):
        again = evaluate(
            _photos(desk), instruments, replace(config, render=other), stylizer=stylizer, styles={"mine": style}
        ).numbers["methods"]["mine"]
        if other.fidelity == render.fidelity:  # this encoder gives no feature code, which is what fidelity weighs
            assert again["style_distance"] != by_hand["mine"]["style_distance"]


def test_a_reference_by_name_replaces_the_small_one(
    desk: Path, stylizer: Stylizer, style: Style, instruments: MetricNetworks
) -> None:
    config = EvaluateConfig(RenderConfig(refine_steps=0), aligned=True, references_aligned=True)
    steps: list[tuple[int, int]] = []
    found = evaluate(
        _photos(desk), instruments, replace(config, style_set=desk / "photos"), stylizer=stylizer, styles={"mine": style},
        outputs={"theirs": desk / "photos"},
        references={"mine": [desk / "photos" / "a.png"], "theirs": [desk / "photos" / "a.png"]},
        progress=lambda done, total, _: steps.append((done, total)),
    )  # fmt: skip
    assert found.numbers["methods"]["theirs"]["each"]["a"]["style_distance"] == pytest.approx(0.0, abs=1e-6)
    plain = evaluate(_photos(desk), instruments, config, stylizer=stylizer, styles={"mine": style})
    assert plain.numbers["methods"]["mine"]["style_distance"] != found.numbers["methods"]["mine"]["style_distance"]
    assert found.numbers["methods"]["theirs"]["set"]["frechet"] == pytest.approx(0.0, abs=1e-6)
    assert found.notes == [f"{desk / 'photos'}: 3 were smaller and were enlarged"]
    assert steps[-1] == (9, 9)
    # A style without references says so.
    model_style = replace(style, settings={})
    noted = evaluate(_photos(desk), instruments, config, stylizer=stylizer, styles={"mine": model_style})
    assert "style_distance" not in noted.numbers["methods"]["mine"]
    assert any("No reference of mine" in note for note in noted.notes)


@pytest.mark.slow
def test_names_must_be_clear(desk: Path, stylizer: Stylizer, style: Style, instruments: MetricNetworks) -> None:
    photos, folder = _photos(desk), desk / "photos"
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(photos, instruments)
    with pytest.raises(InputError, match="called 'mine'"):
        evaluate(photos, instruments, stylizer=stylizer, styles={"mine": style}, outputs={"mine": folder})
    with pytest.raises(InputError, match="has 'x'"):
        evaluate(photos, instruments, outputs={"mine": folder}, references={"x": [photos[0]]})
    with pytest.raises(InputError, match="references_aligned"):
        evaluate(photos, instruments, outputs={"mine": folder}, references={"mine": [photos[0]]})


def test_the_embedded_networks_judge(instruments: MetricNetworks) -> None:
    own = open_instruments("discriminator")
    assert (own.looks.name, own.identity.name) == ("mien-discriminator", "mien-identity")
    assert len({own.looks.weights, own.identity.weights}) == 2
    images = _smooth(2, 1, 80)
    assert style_distance(own.looks, images, images[:1])[0] < 1e-3 < style_distance(own.looks, images, images[:1])[1]
    assert torch.allclose(own.identity.vectors(images).norm(dim=1), torch.ones(2), atol=1e-5)


def test_other_networks_measure_on_demand(shared: Path) -> None:
    found = open_instruments("discriminator", shared / "weights" / "mobilefacenet.safetensors")
    assert found.identity.name == "MobileFaceNet"
    assert found.identity.vectors(_smooth(1, 0)).shape == (1, 128)


def test_auto_takes_the_installed_network_and_else_says_that_the_discriminator_is_biased(
    desk: Path, stylizer: Stylizer, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_feature_network():
        assert open_features().name == "EfficientNet-Lite1"
        assert open_features().vectors(_smooth(1, 0)).shape == (1, 1280)
    monkeypatch.setattr(feature_network, "_PACKAGE", "no_such_package")
    instruments = open_instruments()
    assert instruments.looks.name == "mien-discriminator"
    with pytest.raises(InputError, match="not installed"):
        open_features("efficientnet-lite1")
    config = EvaluateConfig(RenderConfig(refine_steps=0), aligned=True)
    found = evaluate(_photos(desk)[:1], instruments, config, stylizer=stylizer, styles={"mine": style})
    assert any("with which styles are learned" in note for note in found.notes)


def test_the_files_hold_the_numbers(instruments: MetricNetworks, tmp_path: Path) -> None:
    photos, reference = _smooth(4, 6), _smooth(1, 7)
    found = measure(list("abcd"), photos, [Candidate("m|x", range(4), _smooth(4, 1), reference)], instruments, _smooth(5, 3))
    found.notes = ["mind the gap"]
    files = write_evaluation(found, tmp_path / "out")
    assert sorted(f.name for f in files) == ["evaluation.json", "evaluation.md", "sheet.png"]
    stored: dict[str, Any] = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(found.numbers))
    text = (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")
    method = stored["methods"]["m|x"]
    assert f"{method['style_distance']['mean']:.3f} ± {method['style_distance']['spread']:.3f}" in text
    assert "- mind the gap" in text
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}) == 1
    with pytest.raises(InputError, match="overwrite"):
        write_evaluation(found, tmp_path / "out")
    found.notes = []
    write_evaluation(found, tmp_path / "out", overwrite=True)
    assert "mind the gap" not in (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_verb(desk: Path, stylizer: Stylizer, style: Style, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(desk / "tiny.safetensors", stylizer.model)
    style.save(desk / "mine.safetensors")
    command = "evaluate mine.safetensors --model tiny.safetensors --photos photos --aligned --refine 0 --reference-aligned"
    more = "--outputs theirs=photos --reference theirs=reference.png --set photos --strength 0.5 --fidelity 0.2 -o out --json"
    assert shell(f"{command} {more}".split()) == 0
    told = json.loads(capsys.readouterr().out)
    numbers = told["evaluation"]
    assert list(numbers["methods"]) == [NO_STYLE, "mine", "theirs"]
    assert numbers == json.loads((desk / "out" / "evaluation.json").read_text(encoding="utf-8"))
    render = numbers["settings"]["render"]
    assert render["strength"] == 0.5
    assert (render["fidelity"], render["refine_steps"]) == (0.2, 0)
    assert numbers["methods"]["theirs"]["identity"]["mean"] == pytest.approx(1.0, abs=1e-4)
    assert any("think before you publish" in note for note in told["warnings"])
    assert shell(f"{command} -o out".split()) == 2
    assert "--overwrite" in capsys.readouterr().err
    (desk / "photos" / "d.png").write_bytes(b"no image")
    assert shell(f"{command} -o out --overwrite".split()) == 1
    shown = capsys.readouterr()
    assert "d.png is not an image" in shown.err
    assert "style distance" in shown.out
    assert shell(["evaluate", "--photos", "photos", "--outputs", "theirs=photos", "--aligned", "-o", "alone"]) == 1
    assert "no style" not in (desk / "alone" / "evaluation.md").read_text(encoding="utf-8")
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--photos photos", "nothing to evaluate"),
        ("nobody --photos photos", "no style nobody"),
        ("--photos photos --outputs photos --outputs other/photos", "both called 'photos'"),
        ("--photos photos --outputs a=nowhere --aligned", "nowhere is not a folder"),
        ("--photos photos --outputs a=photos --reference reference.png", "takes NAME=PATH"),
        ("--photos photos --outputs a=photos --reference a=none.png", "no file none.png"),
        ("--photos photos --outputs a=photos --features none.tflite", "efficientnet-lite1 or discriminator"),
        ("--photos photos --outputs a=photos --set none", "There is no none"),
        ("--photos nothing --outputs a=photos", "no file nothing"),
        ("ink sub/ink.safetensors --photos photos", "both called 'ink'"),
    ],
)
def test_refusals(desk: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str) -> None:
    (desk / "sub").mkdir()
    (desk / "sub" / "ink.safetensors").write_bytes(b"")
    assert shell(["evaluate", *words.split(), "-o", "out"]) == 2
    assert sentence in capsys.readouterr().err
    assert not (desk / "out").exists()
