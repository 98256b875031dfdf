"""Every verb for real, on a tiny random model: what is written, what is said, and that options do what their names say."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mien.checkpoint.foreign.encoders import LoadedEncoder
from mien.checkpoint.model_file import read_model, write_model
from mien.checkpoint.native import read
from mien.cli.app import shell
from mien.media.images import read_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.irse_encoder import EncoderKind, IrseEncoder, IrseEncoderConfig
from mien.models.model import Model, Provenance
from mien.styles import Style

_SIDE = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: 64 px, random weights."""
    torch.manual_seed(1)
    generator = Generator(GeneratorConfig(_SIDE, z_dim=16, w_dim=128, mapping_layers=2, channel_base=512, channel_max=16))
    discriminator = Discriminator(DiscriminatorConfig(_SIDE, channel_base=512, channel_max=16))
    encoder = CompactEncoder(CompactEncoderConfig(_SIDE, generator.num_ws, 128, width=8, max_width=16))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    write_model(path, Model(generator, discriminator, encoder, Provenance("tiny", "CC0", "random weights")))
    return path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two squares, a reference and a broken file."""
    (tmp_path / "photos").mkdir()
    torch.manual_seed(2)
    for name in ("photos/a.png", "photos/b.jpg", "reference.png", "second.png"):
        noise = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), (80, 80), mode="bilinear")[0]
        Image.fromarray((noise * 255).byte().permute(1, 2, 0).numpy()).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mien(line: str) -> int:
    """Run a command line; the exit code."""
    return shell(line.split())


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


_FIT = "--steps 2 --random-from 16px"
_BOTH = f"{_FIT} --aligned --style-aligned"


def test_stylize_is_fit_and_apply(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"stylize photos/a.png --style reference.png {_BOTH} --model {model} --save-style s.safetensors -o one.png --json"
    assert shell(line.split()) == 0
    document = _json(capsys)
    assert [w["out"] for w in document["written"]] == ["one.png", "s.safetensors"]
    assert mien(f"fit reference.png {_FIT} --aligned --model {model} -o t.safetensors") == 0
    assert capsys.readouterr().out == "t.safetensors\n"
    assert (desk / "s.safetensors").read_bytes() == (desk / "t.safetensors").read_bytes()
    assert mien(f"apply t.safetensors photos/a.png --aligned --model {model} -o two.png") == 0
    assert (desk / "one.png").read_bytes() == (desk / "two.png").read_bytes()
    assert (desk / "one.png").read_bytes() != (desk / "photos/a.png").read_bytes()


@pytest.fixture
def style(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A style file of the tiny model, made with a large step so that it shows."""
    assert mien(f"fit reference.png {_FIT} --learning-rate 0.1 --aligned --model {model} -o style.safetensors") == 0
    capsys.readouterr()
    return "style.safetensors"


def test_folder_in_folder_out_and_a_broken_photo_fails_alone(
    desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "photos" / "c.png").write_bytes(b"no image")
    assert mien(f"apply {style} photos --aligned --model {model} -o out --json") == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert sorted(p.name for p in (desk / "out").iterdir()) == ["a.png", "b.png"]
    assert [f["input"] for f in document["failed"]] == [str(Path("photos/c.png"))]
    assert "c.png" in shown.err
    assert "1 failed, 2 written" in shown.err


def test_two_styles_name_their_images(desk: Path, model: Path, style: str) -> None:
    (desk / "other.safetensors").write_bytes((desk / style).read_bytes())
    assert mien(f"apply {style},other.safetensors photos/a.png --aligned --model {model} -o out") == 0
    assert sorted(p.name for p in (desk / "out").iterdir()) == ["a_other.png", "a_style.png"]


def test_strength(desk: Path, model: Path, style: str) -> None:
    given = {
        "none": "0",
        "half": "0.5",
        "full": "1",
        "plain": None,
        "fine": "0,fine=1",
        "bands": "coarse=0.5,middle=.5,fine=.5",
    }
    for name, strength in given.items():
        more = f"--strength {strength}" if strength else ""
        line = f"apply {style} photos/a.png --aligned --crop --refine 0 --upscale none --model {model}"
        assert mien(f"{line} -o {name}.png {more}") == 0
    assert mien(f"invert photos/a.png --aligned --model {model} -o base.png") == 0
    images = {n: read_image(desk / f"{n}.png").rgb() for n in (*given, "base")}
    assert torch.equal(images["none"], images["base"])
    assert torch.equal(images["plain"], images["full"])
    assert torch.equal(images["bands"], images["half"])
    assert len({images[n].numpy().tobytes() for n in ("none", "half", "full", "fine")}) == 4
    distance = {n: float((p - images["none"]).abs().mean()) for n, p in images.items()}
    assert 0 < distance["half"] < distance["full"]


def test_crop_is_the_models_square_and_without_it_the_photo_keeps_its_size(desk: Path, model: Path, style: str) -> None:
    assert mien(f"apply {style} photos/a.png --aligned --crop --upscale none --model {model} -o crop.png") == 0
    assert mien(f"apply {style} photos/a.png --aligned --model {model} -o whole.png") == 0
    assert read_image(desk / "crop.png").width == _SIDE
    assert read_image(desk / "whole.png").width == 80


def test_refine_changes_the_face(desk: Path, model: Path, style: str) -> None:
    for steps in (0, 3):
        assert mien(f"apply {style} photos/a.png --aligned --crop --refine {steps} --model {model} -o r{steps}.png") == 0
    assert (desk / "r0.png").read_bytes() != (desk / "r3.png").read_bytes()


@pytest.mark.parametrize(
    "more",
    [
        "--color photo",
        "--space w-plus --random-rows 2,3",
        "--random-from 8px",
        "--random-layers color,4conv",
        "--noise const",
        "--seed 4",
        "--learning-rate 0.02",
        "--steps 3",
        "--extreme",
        "--refine-reference 3",
        "--dtype bfloat16",
    ],
)
def test_options_of_the_learning_change_the_style(more: str, desk: Path, model: Path) -> None:
    plain = f"fit reference.png --aligned --model {model}"
    assert mien(f"{plain} {_FIT} -o plain.safetensors") == 0
    assert mien(f"{plain} {_FIT} {more} -o other.safetensors") == 0
    a, b = read(desk / "plain.safetensors")[0], read(desk / "other.safetensors")[0]
    assert a.keys() != b.keys() or any(not torch.equal(a[name], b[name]) for name in a)


def test_fits_are_watched_and_gone_on_with(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"fit reference.png --random-from 16px --aligned --model {model}"
    assert mien(f"{line} --steps 4 -o whole.safetensors") == 0
    assert mien(f"{line} --steps 3 --state kept --previews watch --preview-every 2 -o part.safetensors") == 0
    assert sorted(p.name for p in (desk / "watch").iterdir()) == ["step-00002.png", "step-00003.png"]
    assert mien(f"{line} --steps 4 --state kept --previews watch --preview-every 2 -o rest.safetensors") == 0
    whole, rest = (read(desk / f"{n}.safetensors")[0] for n in ("whole", "rest"))
    assert all(torch.equal(whole[name], rest[name]) for name in whole)
    assert len(list((desk / "watch").iterdir())) == 3
    capsys.readouterr()
    for more, words in (
        ("--previews watch", "has previews"), ("--preview-every 5", "--previews"), ("--state reference.png", "is a file"),
        ("--state kept --seed 4", "another fit"),
    ):  # fmt: skip
        assert mien(f"{line} --steps 4 {more} -o x.safetensors") == 2
        assert words in capsys.readouterr().err
        assert not (desk / "x.safetensors").exists()
    assert mien(f"{line} --steps 1 --previews watch --overwrite -o x.safetensors") == 0


def test_several_references_and_batch(desk: Path, model: Path) -> None:
    plain = f"fit reference.png second.png --aligned --model {model} {_FIT}"
    assert mien(f"{plain} -o both.safetensors") == 0
    assert mien(f"{plain} --batch 1 -o one.safetensors") == 0
    both, one = read(desk / "both.safetensors"), read(desk / "one.safetensors")
    assert both[0]["thumbnail"].shape[2] == 2 * both[0]["thumbnail"].shape[1]
    assert both[1]["settings"]["references"] == ["reference.png", "second.png"]
    assert any(not torch.equal(both[0][name], one[0][name]) for name in both[0])


def test_sample(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, more in (
        ("plain", ""), ("again", ""), ("seed", "--seed 3"), ("psi", "--psi 0.2"), ("style", f"--style {style}"),
    ):  # fmt: skip
        assert mien(f"sample -n 4 {more} --model {model} -o {name}.png") == 0
    content = {n: (desk / f"{n}.png").read_bytes() for n in ("plain", "again", "seed", "psi", "style")}
    assert content["plain"] == content["again"]
    assert len({content[n] for n in ("plain", "seed", "psi", "style")}) == 4
    assert mien(f"sample -n 1 --model {model} -o single.png") == 0
    assert read_image(desk / "single.png").width == _SIDE
    assert mien(f"sample -n 0 --model {model} -o zero.png") == 2


def test_sample_of_seeds_and_in_a_style(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    def drawn(more: str) -> torch.Tensor:
        assert mien(f"sample {more} --overwrite --model {model} -o x.png") == 0
        return read_image(desk / "x.png").rgb()

    single = [drawn(f"-n 1 --seed {seed}") for seed in (5, 2)]
    assert torch.equal(drawn("--seeds 5,2 --columns 2"), torch.cat(single, dim=2))
    assert torch.equal(drawn("--seeds 5,2 --columns 1"), torch.cat(single, dim=1))
    seen = drawn(f"--seeds 5 --style {style} --strength 0")  # the face as the encoder sees it
    full, half = drawn(f"--seeds 5 --style {style}"), drawn(f"--seeds 5 --style {style} --strength 0.5")
    assert 0 < (half - seen).abs().mean() < (full - seen).abs().mean()
    assert mien(f"sample --seeds five --model {model} -o y.png") == 2


def test_walks(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"sample --seeds 5,2,9 --interpolate --frames 4 --model {model}"
    assert mien(f"{line} -o strips.png") == 0
    strips = read_image(desk / "strips.png").rgb()
    assert strips.shape == (3, 2 * _SIDE, 4 * _SIDE)  # 5 to 2, 2 to 9
    assert mien(f"sample --seeds 5,2,9 --columns 3 --model {model} -o faces.png") == 0
    faces = read_image(desk / "faces.png").rgb().split(_SIDE, dim=2)
    assert torch.equal(strips[:, :_SIDE, :_SIDE], faces[0])
    assert torch.equal(strips[:, :_SIDE, -_SIDE:], faces[1])
    assert torch.equal(strips[:, _SIDE:, -_SIDE:], faces[2])
    for name, more in (("film.gif", ""), ("film.webp", ""), ("other.gif", f"--style {style}"), ("slow.gif", "--fps 2")):
        assert mien(f"{line} {more} -o {name}") == 0
        with Image.open(desk / name) as film:
            assert (film.n_frames, film.size) == (12, (_SIDE, _SIDE))  # type: ignore[attr-defined]
            if name.endswith(".gif"):
                assert film.info["duration"] == (500 if name == "slow.gif" else 80)
    assert (desk / "film.gif").read_bytes() != (desk / "other.gif").read_bytes()
    assert mien(f"sample -n 1 --interpolate --model {model} -o one.gif") == 2
    assert "at least two" in capsys.readouterr().err
    assert mien(f"sample -n 2 --model {model} -o still.gif") == 2
    assert mien(f"sample -n 60 --interpolate --model {model} -o long.gif") == 2
    assert "fewer" in capsys.readouterr().err
    assert not (desk / "long.gif").exists()


def test_masks(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(f"masks --model {model} -o all.png --json") == 0
    shares = _json(capsys)["masks"]
    assert {"m1", "m2", "color", "64up", "4conv"} <= set(shares)
    line = f"masks --model {model} --mask m2 --mask 16px..:rgb --json"
    assert mien(f"{line} -o some.png") == 0
    some = _json(capsys)["masks"]
    assert some == {"m2": shares["m2"], "16px..:rgb": shares["color"]}
    for name, more in (("seed", "--seed 3"), ("image", "--image reference.png --aligned")):
        assert mien(f"{line} {more} -o {name}.png") == 0
        assert _json(capsys)["masks"] != some
        assert (desk / f"{name}.png").read_bytes() != (desk / "some.png").read_bytes()
    assert mien(f"masks --model {model} --mask 7px -o x.png") == 2
    assert "names no layer" in capsys.readouterr().err


def test_regions_and_control(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    lively = read_model(model)
    assert isinstance(lively.encoder, CompactEncoder)
    lively.encoder.out.weight.mul_(100)  # as it is made it answers with the mean face
    model = desk / "lively.safetensors"
    write_model(model, lively)
    assert mien(f"regions --model {model} -o parts.safetensors --json") == 0
    document = _json(capsys)
    assert [w["out"] for w in document["written"]] == ["parts.safetensors", "parts.png"]
    assert document["channels"]["eyes"] > 0
    assert mien(f"regions --model {model} --seed 3 -o others.safetensors") == 0
    with_parts = f"--aligned --model {model} --regions parts.safetensors"
    written = []
    for number, more in enumerate(("", "--keep eyes,mouth", "--exaggerate eyes=0.7", "--keep eyes=0.5 --exaggerate nose")):
        assert mien(f"apply {style} photos/a.png --refine 0 {with_parts} {more} -o a{number}.png") == 0
        assert mien(f"fit reference.png --steps 2 {with_parts} {more} -o f{number}.safetensors") == 0
        tensors = read(desk / f"f{number}.safetensors")[0]
        written.append((desk / f"a{number}.png").read_bytes())
        written.append(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors)))
    assert len(set(written)) == len(written)
    assert mien(f"fit reference.png --steps 2 --aligned --model {model} -o plain.safetensors") == 0
    assert (desk / "plain.safetensors").read_bytes() == (desk / "f0.safetensors").read_bytes()
    assert mien(f"fit reference.png {_FIT} {with_parts} --random-layers m2,eyes -o mask.safetensors") == 0
    line = "stylize photos/a.png --style reference.png --steps 2 --style-aligned --keep eyes"
    assert mien(f"{line} {with_parts} -o s.png") == 0
    capsys.readouterr()
    for more, words in (
        ("--keep ears", "--keep takes"), ("--exaggerate eyes=9", "from 0 to 2"), ("--keep eyes --exaggerate eyes", "at once"),
        ("--keep eyes --regions style.safetensors", "not a file of regions"),
    ):  # fmt: skip
        assert mien(f"apply {style} photos/a.png --refine 0 {with_parts} {more} -o x.png") == 2
        assert words in capsys.readouterr().err
    assert mien(f"regions --model {model} -o parts.png") == 2
    assert mien("apply ink photos/a.png --aligned --regions parts.safetensors --keep eyes -o x.png") == 2
    assert "another model" in capsys.readouterr().err


def test_align_cuts_the_square(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("align photos/a.png --box 10,20,40 --size 32 -o crop.png --json") == 0
    [written] = _json(capsys)["written"]
    assert (written["center"], written["side"]) == ([30.0, 40.0], 40.0)
    assert read_image(desk / "crop.png").width == 32
    assert mien("align photos --aligned -o crops") == 0
    assert sorted(p.name for p in (desk / "crops").iterdir()) == ["a.png", "b.png"]


def test_invert_writes_image_and_code(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(f"invert photos/a.png --aligned --model {model} -o inv.png --json") == 0
    assert [w["kind"] for w in _json(capsys)["written"]] == ["image", "code"]
    tensors, document = read(desk / "inv.safetensors")
    assert document["kind"] == "code"
    assert list(tensors["w_plus"].shape) == [1, 10, 128]
    assert mien(f"invert photos/a.png --aligned --model {model} -o inv.png") == 2
    assert mien(f"invert photos/a.png --aligned --refine 3 --overwrite --model {model} -o inv.png") == 0
    assert not torch.equal(read(desk / "inv.safetensors")[0]["w_plus"], tensors["w_plus"])


def test_inverters(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every way leads to another code; the options reach the reference, the photo and the image that invert draws."""
    ways = ["", "--method iterated", "--method w --steps 2", "--method w+ --steps 2", "--method prior --steps 2"]
    ways += ["--method mean", "--towards-mean 0.5", "--method iterated --steps 1"]
    for index, way in enumerate(ways):
        assert mien(f"invert photos/a.png --aligned --model {model} {way} -o {index}.png") == 0
    codes = [read(desk / f"{index}.safetensors")[0]["w_plus"] for index in range(len(ways))]
    assert len({code.numpy().tobytes() for code in codes}) == len(ways)
    assert mien(f"invert photos/a.png --aligned --model {model} --method mean --steps 3 -o x.png") == 2
    assert "leave them out" in capsys.readouterr().err
    line = f"fit reference.png {_FIT} --learning-rate 0.1 --aligned --model {model}"
    assert mien(f"{line} --reference-inverter mean -o m.safetensors") == 0
    assert (desk / "m.safetensors").read_bytes() != (desk / style).read_bytes()
    line = f"apply {style} photos/a.png --aligned --crop --refine 0 --model {model}"
    assert mien(f"{line} -o e.png") == 0
    assert mien(f"{line} --inverter mean -o m.png") == 0
    assert (desk / "e.png").read_bytes() != (desk / "m.png").read_bytes()


def test_a_preset_fills_in_what_is_not_given(desk: Path, model: Path) -> None:
    line = f"fit reference.png --steps 2 --aligned --model {model}"
    written = (
        "--random-layers m1 --mean-layers 16up,32up,64up --batch 0 --reference-inverter iterated --mixing-latents mapping "
        "--feature-code 0 --no-mirror --distribution-weight 0 --reference-shape 1 --reference-views 1 --weight-average 0"
    )
    for name, options in {
        "preset": "--preset paper", "written": written, "plain": "", "own": "--preset paper --random-from 32px --batch 4",
        "color": "--preset paper --color photo",
    }.items():  # fmt: skip
        assert mien(f"{line} {options} -o {name}.safetensors") == 0
    assert (desk / "preset.safetensors").read_bytes() == (desk / "written.safetensors").read_bytes()
    assert (desk / "preset.safetensors").read_bytes() != (desk / "plain.safetensors").read_bytes()
    fit = {n: Style.load(desk / f"{n}.safetensors").settings["fit"] for n in ("preset", "own", "color")}
    assert (fit["preset"]["random_layers"], fit["preset"]["batch"]) == ("m1", 0)
    # An option that is written counts, also where it has mien's own value.
    assert (fit["own"]["random_from"], fit["own"]["batch"], "random_layers" in fit["own"]) == ("32px", 4, False)
    assert "random_layers" not in fit["color"]
    drawn = f"apply preset.safetensors photos/a.png --aligned --crop --model {model}"
    for name, options in {
        "a": "--preset paper", "b": "--inverter iterated --fidelity 0 --refine 0", "c": "", "d": "--preset paper --refine 3"
    }.items():  # fmt: skip
        assert mien(f"{drawn} {options} -o {name}.png") == 0
    images = {name: (desk / f"{name}.png").read_bytes() for name in "abcd"}
    assert images["a"] == images["b"]
    assert len(set(images.values())) == 3
    together = f"stylize photos/a.png --style reference.png --steps 2 --aligned --style-aligned --crop --model {model}"
    assert mien(f"{together} --preset paper -o e.png") == 0
    assert (desk / "e.png").read_bytes() == images["a"]


def test_losses_to_compare_with(
    desk: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"fit reference.png {_FIT} --aligned --model {model}"
    for loss in ("discriminator", "pixels", "identity"):
        assert mien(f"{line} --loss {loss} -o {loss}.safetensors") == 0
    assert len({(desk / f"{loss}.safetensors").read_bytes() for loss in ("discriminator", "pixels", "identity")}) == 3
    monkeypatch.setattr("mien.checkpoint.feature_network._PACKAGE", "no_such_package")
    assert mien(f"{line} --loss efficientnet-lite1 -o x.safetensors") == 2
    assert "mien[measure]" in capsys.readouterr().err


def test_invert_compares_all_methods(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"invert photos --compare --steps 1 --aligned --model {model} -o table"
    assert mien(f"{line} --json") == 0
    document = _json(capsys)
    assert len(document["comparison"]["ways"]) == 9
    assert [Path(w["out"]).name for w in document["written"]] == ["inverters.png", "inverters.md", "inverters.json"]
    assert mien(line) == 2
    assert mien(f"invert photos --aligned --model {model} -o x.png") == 2
    assert "--compare" in capsys.readouterr().err
    assert mien(f"{line} --overwrite --method w") == 2
    assert mien(f"{line} --overwrite --face 2") == 2


@pytest.mark.parametrize("kind", ["e4e", "restyle-psp"])
def test_encoder(
    kind: EncoderKind, desk: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading the files of encoders is tested elsewhere; here, that the flag puts the network to work."""
    import mien.checkpoint.load as checkpoint

    def load(path: Path) -> LoadedEncoder:
        torch.manual_seed(7)
        rows = 10 if path.name == "fits.pt" else 18
        return LoadedEncoder(IrseEncoder(IrseEncoderConfig(kind, num_ws=rows, width=16)).eval(), None)

    monkeypatch.setattr(checkpoint, "load_encoder", load)
    assert mien(f"invert photos/a.png --aligned --model {model} -o own.png") == 0
    assert mien(f"invert photos/a.png --aligned --model {model} --encoder fits.pt -o other.png") == 0
    own, other = (read(desk / f"{n}.safetensors")[0]["w_plus"] for n in ("own", "other"))
    assert own.shape == other.shape
    assert not torch.equal(own, other)
    assert mien(f"invert photos/a.png --aligned --model {model} --encoder big.pt -o x.png") == 2
    assert "18 rows" in capsys.readouterr().err


def test_no_face_is_an_error_that_tells_the_ways_out(
    desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (200, 200), "gray").save(desk / "gray.png")
    assert mien(f"apply {style} gray.png --model {model} -o x.png") == 2
    told = capsys.readouterr().err
    assert all(flag in told for flag in ("--aligned", "--box", "--landmarks"))
    assert mien(f"stylize photos/a.png --aligned --style gray.png --model {model} -o x.png") == 2
    told = capsys.readouterr().err
    assert all(flag in told for flag in ("--style-aligned", "--style-box", "--extreme"))
    assert not (desk / "x.png").exists()


def test_a_photo_that_cannot_be_used_is_told_before_the_learning(
    desk: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.pipeline import Stylizer

    monkeypatch.setattr(Stylizer, "fit", lambda *_, **__: pytest.fail("the learning began"))
    (desk / "broken.png").write_bytes(b"no image")
    assert mien(f"stylize broken.png --style reference.png {_BOTH} --model {model} -o x.png") == 2
    assert "broken.png" in capsys.readouterr().err


def test_a_style_of_another_model_is_refused(
    desk: Path, style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(5)
    other = Generator(GeneratorConfig(_SIDE, z_dim=16, w_dim=128, mapping_layers=2, channel_base=512, channel_max=16))
    encoder = CompactEncoder(CompactEncoderConfig(_SIDE, other.num_ws, 128, width=8, max_width=16))
    write_model(desk / "other.safetensors", Model(other, None, encoder))
    assert mien(f"apply {style} photos/a.png --aligned --model other.safetensors -o x.png") == 2
    assert "another base model" in capsys.readouterr().err


def test_inspect(desk: Path, model: Path, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(f"inspect {model} {style} --json") == 0
    files = _json(capsys)["files"]
    assert [f["kind"] for f in files] == ["model", "style"]
    assert files[0]["resolution"] == _SIDE
    assert files[0]["digest"] == files[1]["digest"]
    assert files[0]["license"] == "CC0"
    assert mien(f"inspect {model}") == 0
    assert "64 px" in capsys.readouterr().out
    assert mien(f"inspect reference.png {style}") == 1
    shown = capsys.readouterr()
    assert "reference.png" in shown.err
    assert "style.safetensors" in shown.out


def test_convert_there_and_back(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(f"convert {model} there.pt --to rosinality --json") == 0
    assert _json(capsys)["written"][0]["format"] == "rosinality"
    assert mien("convert there.pt back.safetensors --kind rosinality") == 0
    before, after = read(model)[0], read(desk / "back.safetensors")[0]
    names = [n for n in before if n.startswith(("generator", "discriminator"))]
    assert all(torch.equal(before[n], after[n]) for n in names if n in after)
    assert len([n for n in names if n in after]) > 50
    assert mien("convert there.pt half.safetensors --half") == 0
    assert (desk / "half.safetensors").stat().st_size < 0.6 * (desk / "back.safetensors").stat().st_size
    for wrong in (
        "there.pt there.pt",
        "there.pt back.safetensors",
        "there.pt x.xyz",
        "there.pt x.pt --kind nvidia",
        "none.pt x.pt",
    ):
        assert mien(f"convert {wrong}") == 2
    assert mien("convert there.pt back.safetensors --overwrite") == 0


def test_models_that_are_no_models(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "page.safetensors").write_text("<!DOCTYPE html><html>quota</html>")
    for name in ("page.safetensors", "reference.png", "none.safetensors"):
        assert mien(f"sample --model {name} -o x.png") == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_threads_and_device_reach_torch(desk: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    assert mien(f"sample -n 1 --threads 1 --device auto --model {model} -o x.png") == 0
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
    assert mien(f"sample -n 1 --threads 0 --model {model} -o y.png") == 2
    if not torch.cuda.is_available():
        assert mien(f"sample -n 1 --device cuda --model {model} -o y.png") == 2
        assert "not available" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing_half_written(
    desk: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.oneshot.tuner import OneShotTuner

    def stop(self: OneShotTuner) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(OneShotTuner, "step", stop)
    before = sorted(desk.rglob("*"))
    assert mien(f"stylize photos/a.png --style reference.png {_BOTH} --model {model} -o one.png") == 130
    assert sorted(desk.rglob("*")) == before
    assert "stopped" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("bench --stream --quick --json") == 0
    measured = json.loads(capsys.readouterr().out)["streams"]
    assert {tuple(line["size"]) for line in measured} == {(640, 480)}
    assert {"torch", "torch bfloat16"} <= {line["engine"] for line in measured}
    for line in measured:
        assert line["frames"] == 30
        assert 0.5 < sum(line["parts"].values()) / (1000 / line["rate"]) < 2.02  # drawing runs beside the rest
    assert mien("bench --stream --train") == 2


def test_bench_quick(capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("bench --quick --json") == 0
    document = _json(capsys)
    assert document["config"]["resolution"] == 64
    assert mien("bench --resolution 100") == 2
    assert all(line["seconds"] > 0 for line in document["tuning"] + document["rendering"])
    assert document["tuning"][0]["ratio"] == 1.0
