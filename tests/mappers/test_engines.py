"""Graphs of a style: every engine draws what PyTorch does, and strangers' files are refused in one sentence."""

from pathlib import Path

import pytest
import torch

import mien
from mien.errors import CheckpointError, InputError
from mien.mappers.engines import GraphMapper, open_mapper
from mien.mappers.generator_mapper import GeneratorMapper
from mien.mappers.graph import build_graph, describe
from mien.mappers.graph_file import read_graph
from mien.mappers.openvino_file import write_openvino
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from toys import tiny

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
R = 32


def toy_mapper(feature_code: int = 8) -> GeneratorMapper:
    torch.manual_seed(0)
    config = CompactEncoderConfig(R, 8, 16, width=8, max_width=16, detail_channels=feature_code, detail_resolution=16)
    encoder = CompactEncoder(config)
    if feature_code:
        torch.nn.init.normal_(encoder.detail.out.weight, std=0.1)
    model = Model(tiny(R), encoder=encoder, blurred_background=bool(feature_code))
    deltas = {"b32.conv1.weight": torch.randn(8, 8, 3, 3).half(), "b16.torgb.bias": torch.full((3,), 0.5).half()}
    style = mien.Style("toy", "", R, deltas, torch.zeros(3, 96, 96, dtype=torch.uint8), {"references": ["a"]})
    style.base = mien.Stylizer(model).digest
    return GeneratorMapper(model, style)


@pytest.fixture(scope="module")
def mapper() -> GeneratorMapper:
    return toy_mapper()


@pytest.fixture(scope="module")
def graph(mapper: GeneratorMapper) -> "onnx.ModelProto":
    return build_graph(mapper)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_draw_what_pytorch_draws(mapper: GeneratorMapper, graph: "onnx.ModelProto", engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    other, crops = GraphMapper(graph, R, engine), torch.rand(3, 3, R, R) * 2 - 1
    for strength, fidelity in ((1.0, 0.7), (0.0, 0.0), (0.4, 1.0)):
        expected, got = (m(crops, strength=strength, fidelity=fidelity) for m in (mapper, other))
        torch.testing.assert_close(got.faces, expected.faces, atol=2e-3, rtol=0)
        torch.testing.assert_close(got.masks, expected.masks, atol=2e-3, rtol=0)
    codes = other.encode(crops[:1]).codes  # another batch
    torch.testing.assert_close(codes.w_plus, mapper.encode(crops[:1]).codes.w_plus, atol=1e-3, rtol=1e-3)
    assert float((mapper(crops).faces - mapper(crops, strength=0.0).faces).abs().mean()) > 0.01, "the toy style changes nothing"


def test_a_model_without_feature_codes_has_a_graph_too() -> None:
    mapper = toy_mapper(feature_code=0)
    crops = torch.rand(1, 3, R, R)
    torch.testing.assert_close(GraphMapper(build_graph(mapper), R)(crops).faces, mapper(crops).faces, atol=2e-3, rtol=0)


def test_large_weights_are_stored_in_half_precision() -> None:
    graph = onnx.helper.make_graph([], "g", [], [])
    from mien.mappers import graph as module

    graph.initializer.append(onnx.numpy_helper.from_array(torch.rand(1 << 16).numpy(), "large"))
    graph.initializer.append(onnx.numpy_helper.from_array(torch.rand(3).numpy(), "small"))
    model = onnx.helper.make_model(graph)
    module._halve(model, onnx)
    assert {t.name: t.data_type for t in model.graph.initializer} == {
        "large_half": onnx.TensorProto.FLOAT16,
        "small": onnx.TensorProto.FLOAT,
    }
    assert [(n.op_type, *n.output) for n in model.graph.node] == [("Cast", "large")]


def _saved(model: "onnx.ModelProto", tmp_path: Path) -> Path:
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _copy(model: "onnx.ModelProto") -> "onnx.ModelProto":
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def test_a_file_of_ours_is_read(graph: "onnx.ModelProto", mapper: GeneratorMapper, tmp_path: Path) -> None:
    opened = open_mapper(_saved(graph, tmp_path))
    crops = torch.rand(1, 3, R, R)
    assert opened.size == R
    torch.testing.assert_close(opened(crops).faces, mapper(crops).faces, atol=2e-3, rtol=0)


def test_strangers_files_are_refused(graph: "onnx.ModelProto", mapper: GeneratorMapper, tmp_path: Path) -> None:
    outside = _copy(graph)
    outside.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    entry = outside.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    custom, branch, others, absurd = _copy(graph), _copy(graph), _copy(graph), _copy(graph)
    custom.graph.node[0].domain = "com.stranger"
    branch.graph.node[0].op_type = "Loop"
    others.graph.input[0].name = "photo"
    absurd.graph.initializer[0].dims[:] = [1 << 40]
    wide = _copy(graph)
    wide.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 64
    for model, word in (
        (outside, "other files"), (custom, "operator"), (branch, "Loop"),
        (others, "inputs and outputs"),
        (absurd, "absurd size"), (wide, "shapes"), (build_graph(mapper, "encoder"), "encoder alone"),
    ):  # fmt: skip
        with pytest.raises(CheckpointError, match=word):
            read_graph(_saved(model, tmp_path))
    (tmp_path / "x.onnx").write_bytes(b"\x08\x07no graph at all")
    with pytest.raises(CheckpointError):
        read_graph(tmp_path / "x.onnx")


@pytest.fixture(scope="module")
def exported(graph: "onnx.ModelProto", tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    named, path = _copy(graph), tmp_path_factory.mktemp("openvino") / "toy.xml"
    describe(named, {"style": "toy", "fidelity": "0.5"}, R)
    write_openvino(named, path)
    return path


def test_a_file_of_openvino_draws_what_pytorch_draws(mapper: GeneratorMapper, exported: Path) -> None:
    opened, crops = open_mapper(exported), torch.rand(2, 3, R, R) * 2 - 1
    assert isinstance(opened, GraphMapper)
    assert (opened.name, opened.size, opened.engine, opened.usual_fidelity) == ("toy", R, "openvino", 0.5)
    for strength in (1.0, 0.0, 0.4):
        expected, got = (m(crops, strength=strength, fidelity=0.6) for m in (mapper, opened))
        torch.testing.assert_close(got.faces, expected.faces, atol=5e-3, rtol=0)
        torch.testing.assert_close(got.masks, expected.masks, atol=1e-2, rtol=0)
    half = opened.by("openvino", torch.bfloat16)
    assert half.by(None, torch.bfloat16) is half
    assert opened(crops).faces.shape == half(crops).faces.shape
    with pytest.raises(InputError, match=r"export it as \.onnx"):
        opened.by("onnxruntime")


def test_strangers_files_of_openvino_are_refused(exported: Path, mapper: GeneratorMapper, tmp_path: Path) -> None:
    text, weights, path = exported.read_text(), exported.with_suffix(".bin").read_bytes(), tmp_path / "x.xml"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"no x\.bin beside it"):
        open_mapper(path)
    for wrong, data, word in (
        (text.replace("<net", "<!DOCTYPE net [<!ENTITY a 'b'>]><net", 1), weights, "definitions"),
        (text.replace('type="Sigmoid"', 'type="Stranger"', 1), weights, "operator"),
        (text.replace('type="Sigmoid" version="opset1"', 'type="Sigmoid" version="mine"', 1), weights, "operator"),
        (text, weights[: len(weights) // 2], "does not fit"),
        (text.replace('names="fidelity"', 'names="frailty"'), weights, "inputs and outputs"),
        (text.replace('names="heads"', 'names="tails"'), weights, "this mien"),
        (text[:5000], weights, "damaged"),
        ("<html></html>", weights, "no file of OpenVINO"),
    ):
        path.write_text(wrong)
        path.with_suffix(".bin").write_bytes(data)
        with pytest.raises(CheckpointError, match=word):
            open_mapper(path)
    write_openvino(build_graph(mapper, "encoder"), path)
    with pytest.raises(CheckpointError, match="encoder alone"):
        open_mapper(path)


def test_torch_runs_no_graphs(graph: "onnx.ModelProto") -> None:
    with pytest.raises(InputError, match="onnxruntime"):
        GraphMapper(graph, R, "torch")
