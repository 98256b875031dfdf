"""`mien export`: a file that a script runs which knows its metadata alone, and that `apply` takes as a style."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import mien
from mien.cli.app import shell
from mien.errors import InputError
from mien.media.image_input import as_image

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
PLAIN = mien.RenderConfig(refine_steps=0, upscale="none")


@pytest.fixture(scope="module")
def toon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "toon.onnx"
    assert shell(["export", "toon", "-o", str(path), "--quiet"]) == 0
    return path


def test_plain_onnxruntime_draws_it_from_the_metadata(toon: Path) -> None:
    session = runtime.InferenceSession(str(toon))
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["style"] == "toon"
    assert "NC" in facts["license"]
    assert facts["base_model"] == "mien-faces"
    assert "FFHQ" in facts["frame"]
    assert set(json.loads(facts["tensors"])) == {"image", "strength", "fidelity", "face", "mask"}
    size, one = int(facts["size"]), np.ones(1, np.float32)
    pipe = mien.Stylizer.load(device="cpu")
    crop = pipe.align("examples/face.png").faces[0].crop
    image = np.stack([crop.numpy(), crop.numpy()[:, :, ::-1]])
    assert image.shape[-1] == size
    face, mask = session.run(None, {"image": image, "strength": one, "fidelity": one * float(facts["fidelity"])})
    expected = mien.mappers.GeneratorMapper(pipe.model, mien.Style.load("toon"))(torch.from_numpy(image.copy()))
    assert np.abs(face - expected.faces.numpy()).mean() * 127.5 < 0.1
    assert np.abs(mask - expected.masks.numpy()).mean() < 0.002
    plain, _ = session.run(None, {"image": image, "strength": one * 0, "fidelity": one})
    assert np.abs(plain - face).mean() > 0.05


def test_apply_takes_it_wherever_a_style_goes(toon: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    code = shell(["apply", str(toon), "examples/face.png", "-o", str(out), "--upscale", "none", "--quiet"])
    assert code == 0
    pipe = mien.Stylizer.load(device="cpu")
    expected = pipe("toon", "examples/face.png", PLAIN)
    got, photo = (as_image(file).pixels.astype(int)[..., :3] for file in (out, Path("examples/face.png")))
    wanted = expected.image_data.pixels.astype(int)[..., :3]
    assert np.abs(got - wanted).mean() < 1.5
    assert np.abs(got - photo).mean() > 5 * np.abs(got - wanted).mean()


def test_an_engine_draws_a_style_as_torch_does() -> None:
    pipe = mien.Stylizer.load(device="cpu")
    found = pipe.align("examples/face.png")
    by_engine = pipe("toon", found, mien.RenderConfig(upscale="none", engine="onnxruntime", strength=1.0))
    by_torch = pipe("toon", found, PLAIN)
    assert float((by_engine.faces[0].stylized - by_torch.faces[0].stylized).abs().mean()) * 127.5 < 1
    with pytest.raises(InputError, match="keep"):
        pipe("toon", found, mien.RenderConfig(engine="onnxruntime", keep={"eyes": 1.0}))


def test_openvino_has_its_own_files(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    done = mien.export("ink", tmp_path / "ink.xml", part="encoder")
    assert done.part == "encoder"
    assert (tmp_path / "ink.bin").stat().st_size < 20e6
    model = openvino.Core().read_model(tmp_path / "ink.xml")
    assert {value.get_any_name() for value in model.outputs} == {"w_plus", "feature_code"}
    assert model.get_rt_info(["style"]).value == "ink"


def test_the_generator_alone_draws_codes(tmp_path: Path) -> None:
    path = tmp_path / "generator.onnx"
    done = mien.export("ink", path, part="generator")
    assert done.half
    assert done.mean_difference < 1 / 255
    assert [value.name for value in runtime.InferenceSession(str(path)).get_inputs()] == [
        "w_plus", "feature_code", "strength", "fidelity",
    ]  # fmt: skip


def test_nothing_is_overwritten_and_other_names_are_refused(toon: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        mien.export("ink", toon)
    with pytest.raises(InputError, match=r"\.onnx"):
        mien.export("ink", tmp_path / "ink.tflite")
    assert shell(["export", "nosuchstyle", "-o", str(tmp_path / "x.onnx")]) == 2


def test_a_graph_is_no_style_to_do_more_with(toon: Path) -> None:
    style = mien.Style.load(toon)
    assert style.name == "toon"
    with pytest.raises(InputError, match="exported graph"):
        mien.Stylizer.load(device="cpu").sample(1, style=style)
